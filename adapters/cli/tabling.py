"""The command `table`: runs a grid of settings and seeds, and writes what came of it."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.errors import RunNotFound
from ..opening import Opening
from ..tables.figure import svg
from ..tables.page import as_csv, markdown
from ..tables.plan import FREE, Job, Plan, Transfer, load_table, runs_of
from ..tables.rows import Result, Row, result_of, rows_of
from ..views.story import Story
from ..views.text import plural
from ..wiring import open_evaluation, open_training
from .output import DONE, FAILED, INTERRUPTED, PAUSED, print_json, say, show, usage_json
from .reading import write_file
from .running import run_to_end
from .stored import open_reader, read_story

if TYPE_CHECKING:
    from .running import OpenRun


def table(
    file: Path,
    overrides: Sequence[str],
    *,
    output: Path | None,
    plan_only: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run what of a table has not been run, one run after the other, and write its pages.

    Raises:
        FuncforgeError: Nothing was run: a file, a row or a setting is wrong.
    """
    plan = load_table(file, overrides)
    if plan_only:
        for run_id in runs_of(plan):
            show(run_id)
        return DONE
    told = [one for one in overrides if one.partition(".")[0] not in FREE]
    command = " ".join(["funcforge table", str(file), *(f"--set {one}" for one in told)])
    worst = DONE
    for at, job in enumerate(plan.jobs, start=1):
        say(f"{at} of {len(plan.jobs)}: {job.config.name}, seed {job.seed}", style="bold")
        code = _run_job(job, quiet)
        if code in (FAILED, INTERRUPTED):
            worst = code
            break  # what failed here would fail there too
        worst = max(worst, code)
    rows = rows_of(plan, _results(plan))
    places = _write(plan, rows, output, command)
    if as_json:
        print_json({"name": plan.name, "rows": [_told(row, plan) for row in rows], **places})
    elif rows:
        show(Path(places["markdown"]).read_text("utf-8"))
    for place in places.values():
        say(place, style="cyan")
    if worst == PAUSED:
        say("a run's budget ran out: raise it with --set budget... and give the command again")
    return worst


def _run_job(job: Job, quiet: bool) -> int:
    training = partial(open_training, job.config)
    scoring = partial(open_evaluation, job.config, None)
    code = _run(job.run_id, job, training if job.learn else scoring, quiet)
    story = _story(job, job.run_id)
    if code != DONE or story is None:
        return code
    for transfer in job.transfers:
        scored = partial(open_evaluation, transfer.config, story.final)
        code = _run(transfer.run_id, transfer, scored, quiet)
        if code != DONE:
            break
    return code


def _run(run_id: str, job: Job | Transfer, open_run: OpenRun, quiet: bool) -> int:
    """Begin a run, go on with it, or leave it as it is if it is done."""
    story = _story(job, run_id)
    if story is not None and story.status == "done":
        return DONE
    opening = Opening(run_id=run_id, resume=story is not None)
    return run_to_end(job.config, open_run, opening, False, quiet)


def _story(job: Job | Transfer, run_id: str) -> Story | None:
    try:
        return read_story(open_reader(job.config.store.path), run_id)
    except RunNotFound:
        return None


def _results(plan: Plan) -> list[Result]:
    results = []
    for job in plan.jobs:
        story = _story(job, job.run_id)
        if story is None or story.status != "done":
            continue
        others = {one.name: _story(one, one.run_id) for one in job.transfers}
        done = {name: other for name, other in others.items() if other and other.status == "done"}
        results.append(result_of(job, story, done))
    return results


def _write(plan: Plan, rows: Sequence[Row], output: Path | None, command: str) -> dict[str, str]:
    folder = output or Path(plan.jobs[0].config.store.path).parent / "tables"
    places = {
        form: folder / f"{plan.slug}.{ending}"
        for form, ending in (("markdown", "md"), ("csv", "csv"), ("figure", "svg"))
    }
    made = (
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}. `{command}`"
    )
    figure = places["figure"].name
    write_file(places["markdown"], markdown(plan, rows, figure=figure, made=made))
    write_file(places["csv"], as_csv(plan, rows))
    write_file(places["figure"], svg(plan.name, rows))
    say(f"{plural(len(rows), 'row')} written")
    return {form: str(place) for form, place in places.items()}


def _told(row: Row, plan: Plan) -> dict[str, object]:
    change = row.change("test")
    return {
        **dict(zip(plan.axes, row.labels, strict=True)),
        "runs": [result.job.run_id for result in row.results],
        "test_before": _values(row, 0),
        "test_after": _values(row, 1),
        "change": None if change is None else change.mean,
        "usage": usage_json(row.usage),
    }


def _values(row: Row, side: int) -> list[float]:
    spread = row.score("test", side)
    return list(spread.values) if spread else []
