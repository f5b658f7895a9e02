"""The command `drop`: roll single functions of a run back, to a version that can be evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...engine.errors import ConfigError
from ...engine.parameters import Parameters, RemoveFunction, apply
from ..exporters.json import export_json
from ..views.ledger import ledger_rows
from ..views.story import find_version
from ..views.text import one_line, plural
from .output import DONE, print_json, say, show
from .reading import write_file
from .stored import DEFAULT, open_reader, read_story


def drop(
    run: str,
    names: Sequence[str],
    store: str | None,
    *,
    version: str | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Write a version of a run's parameters without some of its functions.

    The run stays as it is: nobody knows yet what the new version is worth.

    Raises:
        ConfigError: No such run, version or function, or the file cannot be written.
        StoreError: The database cannot be read.
    """
    reader = open_reader(store)
    story = read_story(reader, reader.resolve(run))
    before = find_version(story, version or "result")
    _require_known(before, names)
    dropped = sorted(set(names))
    after = apply([RemoveFunction(name=name) for name in dropped], before)
    place = output or reader.path.parent / "parameters" / f"{after.version}.json"
    write_file(place, export_json(after))
    usual = Path(DEFAULT).resolve() == reader.path
    option = "" if usual else f" --store {reader.path}"
    command = f"funcforge evaluate {story.run_id} --set parameters={place}{option}"
    if as_json:
        print_json(
            {
                "run_id": story.run_id,
                "from_version": before.version,
                "version": after.version,
                "dropped": dropped,
                "functions": [function.name for function in after.functions],
                "file": str(place),
                "evaluate": command,
            }
        )
        return DONE
    for row in ledger_rows(story.ledger):
        if before.function(row.name) == row.entry.function and row.name in dropped:
            show(f"dropped {one_line(row.name, 60)}", style="bold")
            show(f"    {one_line(row.told(), 400)}", style="dim")
    left = plural(len(after.functions), "function")
    show(f"version {after.version} with {left}: {place}")
    say(command, style="cyan")
    return DONE


def _require_known(parameters: Parameters, names: Sequence[str]) -> None:
    known = [function.name for function in parameters.functions]
    unknown = [name for name in names if name not in known]
    if unknown:
        listed = ", ".join(known) or "none"
        raise ConfigError(
            f"version {parameters.version} has no function {', '.join(map(repr, unknown))}; "
            f"it has: {listed}"
        )
