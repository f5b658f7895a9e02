"""The command `export`: the learned functions, or a run's episodes as data to fine-tune on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from ...engine.errors import ConfigError
from ..exporters import EXPORTERS
from ..exporters.mixture import Mixture
from ..exporters.tuning_data import By, Choice, write_tuning_data
from ..exporters.tuning_rows import TUNING_FORMS
from ..views.story import find_version
from ..views.text import plural
from .output import DONE, print_json, say
from .reading import export as export_functions
from .stored import open_reader, read_story


def export(
    run: str, store: str | None, *, form: str, output: Path | None, version: str | None,
    as_json: bool, **data: Any,
) -> int:  # fmt: skip
    """Write what a run learned, or what it can be learned from.

    Raises:
        ConfigError: No such run, version or format, or an option that does not suit it.
        StoreError: The database cannot be read.
    """
    if form in TUNING_FORMS:
        return _export_data(run, store, form, output, version, as_json=as_json, **data)
    given = [name for name, value in data.items() if value not in (None, (), False)]
    if form in EXPORTERS and given:
        option = "--" + given[0].replace("_", "-")
        raise ConfigError(f"goes with {', '.join(TUNING_FORMS)} only, not with {form}", key=option)
    if form not in EXPORTERS:
        allowed = ", ".join((*EXPORTERS, *TUNING_FORMS))
        raise ConfigError(f"there is no format {form!r}; allowed are {allowed}", key="--format")
    return export_functions(run, store, form=form, output=output, version=version, as_json=as_json)


def _export_data(
    run: str,
    store: str | None,
    form: str,
    output: Path | None,
    version: str | None,
    *,
    as_json: bool,
    split: Sequence[str],
    by: By | None,
    min_score: float | None,
    margin: float | None,
    best_only: bool,
    general: Path | None,
    own_share: float | None,
    seed: int | None,
) -> int:
    if as_json and output is None:
        raise ConfigError("the rows need a file beside --json", key="--output")
    mixture = None
    if general is not None:
        mixture = Mixture(path=general, own_share=own_share or 0.2, seed=seed or 0)
    elif own_share is not None:
        raise ConfigError("needs a file to mix with", key="--general")
    with open_reader(store) as reader:
        run_id = reader.resolve(run)
        pairs = form.startswith("preferences")
        choice = Choice(
            splits=_splits(split, kind=reader.view(run_id).summary.kind),
            version=find_version(read_story(reader, run_id), version).version if version else None,
            by=by or "signal",
            minimum=(0.0 if pairs else 1.0) if min_score is None else min_score,
            margin=0.2 if margin is None else margin,
            best_only=best_only,
        )
        with _opened(output) as out:
            written = write_tuning_data(reader, run_id, form, choice, out, mixture)
    left_out = {why: count for why, count in sorted(written.left_out.items()) if count}
    if as_json:
        print_json(
            {
                "run_id": run_id, "format": form, "file": str(output), "rows": written.rows,
                "general": written.general, "episodes": written.episodes, "left_out": left_out,
            }
        )  # fmt: skip
    else:
        beside = f", {plural(written.general, 'general row')}" if written.general else ""
        say(f"{plural(written.rows, 'row')} of {plural(written.episodes, 'episode')}{beside}")
        for why, count in left_out.items():
            say(f"    left out {count}: {why}", style="dim")
        if written.rows == 0:
            say("nothing to learn from: lower --min-score?", style="yellow")
    return DONE


def _splits(split: Sequence[str], *, kind: str) -> tuple[str, ...]:
    if kind != "train":  # an evaluation has but one
        return ("test",)
    if "test" in split:
        raise ConfigError(
            "a training's test tasks are sealed: a model that learned from them cannot be judged "
            "by them. Allowed are train and validation",
            key="--split",
        )
    return tuple(split) or ("train",)


def _opened(output: Path | None) -> AbstractContextManager[IO[str]]:
    if output is None:
        return nullcontext(sys.stdout)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return output.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(output)) from None
