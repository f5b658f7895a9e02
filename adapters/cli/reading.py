"""The commands that read what a run left: show, diff, export."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ...engine.errors import ConfigError
from ...engine.parameters import Parameters
from ...engine.usage import Usage
from ..exporters import EXPORTERS, Origin
from ..views.curve import curve, legend
from ..views.diff import Changed, changes
from ..views.judges import figures
from ..views.ledger import ledger_rows
from ..views.lines import OUTCOMES, UNSAFE_WARNING, sealed_test
from ..views.story import Step, Story, find_version
from ..views.text import duration, estimate, gist, one_line, percent, plural, points, usd
from .output import DONE, colours, print_json, say, show_cells, usage_json
from .output import show as put
from .stored import open_reader, read_story
from .summary import change, evaluation_json, run_json

_LINE_STYLES = {"add": "green", "remove": "red", "hunk": "cyan", "same": ""}


def show(run: str, store: str | None, *, html: Path | None, as_json: bool) -> int:
    """Tell one run, and write its HTML report.

    Raises:
        ConfigError: No such run, or the report cannot be written where `html` says.
        StoreError: The database cannot be read.
    """
    from ..views.report import render_report

    reader = open_reader(store)
    story = read_story(reader, reader.resolve(run))
    if story.kind == "compare":
        from .comparing import show_run

        return show_run(reader, story.run_id, report=html, as_json=as_json)
    place = html or reader.path.parent / "reports" / f"{story.run_id}.html"
    report: Path | None = place
    try:
        write_file(place, render_report(story))
    except ConfigError as error:
        if html is not None:
            raise
        # a folder that is only read: the run can be told all the same
        say(f"no report: {error}; name another place with --html", style="yellow")
        report = None
    if as_json:
        told = evaluation_json(story) if story.kind == "evaluate" else run_json(story)
        print_json({**told, "kind": story.kind, "costs": _costs(story), "uses": _uses(story),
                    "ledger": [row.to_json() for row in ledger_rows(story.ledger)],
                    "report": str(report) if report else None})  # fmt: skip
    else:
        _tell(story)
        if report is not None:
            put(f"report: {report}", style="cyan")
    return DONE


def diff(run: str, a: str | None, b: str | None, store: str | None, *, as_json: bool) -> int:
    """Show how functions changed between two versions of a run.

    Raises:
        ConfigError: No such run or version.
        StoreError: The database cannot be read.
    """
    reader = open_reader(store)
    story = read_story(reader, reader.resolve(run))
    old, new = find_version(story, a or "start"), find_version(story, b or "result")
    found = changes(old, new)
    if as_json:
        print_json(
            {
                "run_id": story.run_id,
                "a": old.version,
                "b": new.version,
                "changes": [
                    {
                        "name": one.name,
                        "change": one.change,
                        "diff": "\n".join(line.text for line in one.lines),
                    }
                    for one in found
                ],
            }
        )
        return DONE
    if not found:
        say("nothing differs")
    for one in found:
        _show_change(one)
    return DONE


def export(
    run: str,
    store: str | None,
    *,
    form: str,
    output: Path | None,
    version: str | None,
    as_json: bool,
) -> int:
    """Write the learned functions in one of `EXPORTERS`' forms.

    Raises:
        ConfigError: No such run or version, or the file cannot be written.
        StoreError: The database cannot be read.
    """
    reader = open_reader(store)
    story = read_story(reader, reader.resolve(run))
    parameters = find_version(story, version or "result")
    text = EXPORTERS[form](parameters, _origin(story, parameters))
    if output is not None:
        write_file(output, text)
        say(f"{plural(len(parameters.functions), 'function')} written to {output}")
    if as_json:
        print_json(
            {
                "run_id": story.run_id,
                "version": parameters.version,
                "format": form,
                "functions": [function.name for function in parameters.functions],
                "file": str(output) if output else None,
                "text": None if output else text,
            }
        )
    elif output is None:
        sys.stdout.write(text)
    return DONE


def _origin(story: Story, parameters: Parameters) -> Origin:
    for split in ("test", story.deciding):
        scored = story.after.get(split)
        if scored is not None and scored.version == parameters.version:
            return Origin(run_id=story.run_id, score=scored.score, scored_on=split)
    return Origin(run_id=story.run_id)


def _tell(story: Story) -> None:
    put(f"{one_line(story.name, 60) or story.run_id}  {story.run_id}", style="bold")
    stopped = f" ({story.stopped_by})" if story.stopped_by else ""
    put(f"{story.kind} {story.status}{stopped}, seed {story.seed}, sandbox {story.sandbox}")
    if story.message:
        put(one_line(gist(story.message), 400), style="yellow")
    if story.sandbox == "unsafe":
        put(UNSAFE_WARNING, style="bold red")
    put()
    for split in ("train", "validation", "test"):
        before, after = story.before.get(split), story.after.get(split)
        if before or after:
            put(f"{split:<11}{change(before, after)}")
    if story.sealed_test is not None:
        put(sealed_test(story.sealed_test))
    _tell_curve(story)
    for step in story.steps:
        _tell_step(step)
    _tell_functions(story)
    _tell_judges(story)
    put()
    for cost in story.costs:
        put(f"{one_line(cost.part, 20):<11}{_spent(cost.usage)}")
    put(f"{'in all':<11}{_spent(story.usage)}, {duration(story.seconds)}")


def _spent(usage: Usage) -> str:
    return f"{plural(usage.calls, 'call')}, {usage.tokens:,} tokens, {usd(usage.cost_usd)}"


def _tell_curve(story: Story) -> None:
    rows = curve(story, min(shutil.get_terminal_size((100, 24)).columns, 120))
    if not rows:
        return
    put()
    for row in [*rows, legend()]:
        show_cells([(cell.text, cell.style) for cell in row])
    put()


def _tell_step(step: Step) -> None:
    scores = ""
    if step.score is not None and step.incumbent_score is not None:
        before = estimate(step.incumbent_score, step.incumbent_low, step.incumbent_high)
        scores = f" {before} → {estimate(step.score, step.score_low, step.score_high)}"
    if step.effect is not None and step.low is not None and step.high is not None:
        scores += f" ({points(step.effect)}, [{step.low * 100:+.1f}, {step.high * 100:+.1f}])"
    outcome = OUTCOMES.get(step.outcome, step.outcome)
    style = "green" if step.accepted else ""
    put(f"step {step.step} {outcome}{scores}: {one_line(step.reason, 200)}", style=style)
    if step.episodes:
        put(f"    {plural(step.episodes, 'episode')}, {usd(step.usage.cost_usd)}", style="dim")
    for edit in step.edits:
        refused = f": refused: {one_line(edit.refused, 160)}" if edit.refused else ""
        put(f"    {one_line(edit.text, 120)}{refused}", style="yellow" if refused else "dim")


def _tell_functions(story: Story) -> None:
    put()
    if not story.final.functions:
        put("no functions")
    for row in ledger_rows(story.ledger):
        style = "bold" if row.entry.in_result else "dim"
        put(one_line(row.name, 60), style=style)
        if row.entry.in_result:
            put(f"    {one_line(row.entry.function.description, 110)}", style="dim")
        put(f"    {one_line(row.told(), 400)}", style="" if row.entry.in_result else "dim")


def _tell_judges(story: Story) -> None:
    judges = story.judges
    if judges is None:
        return
    put()
    put(f"critic (learned from: {judges.signal}, accepted by: {judges.accept_by})", style="bold")
    for name, value in figures(judges.reliability):
        put(f"    {name:<20}{value}")
    put(f"    {'':<12}{'critic':>8}{'gold':>10}", style="dim")
    for one in judges.versions:
        scores = "".join(
            f"{percent(score) if score is not None else '–':>10}"
            for score in (one.critic, one.gold)
        )
        put(f"    {one.label:<10}{scores}  {one.outcome}", style="green" if one.in_use else "")
    for warning in judges.warnings:
        put(f"    {warning}", style="bold yellow")


def _show_change(one: Changed) -> None:
    put(one.title, style="bold")
    coloured = colours(to_stdout=True)
    for line in one.lines:
        put(line.text, style=_LINE_STYLES[line.kind] if coloured else "")
    put()


def _costs(story: Story) -> dict[str, object]:
    return {cost.part: usage_json(cost.usage) for cost in story.costs}


def _uses(story: Story) -> Sequence[dict[str, object]]:
    return [
        {"name": u.name, "calls": u.calls, "errors": u.errors, "episodes": u.episodes,
         "solved": u.solved, "solved_share": u.solved_share, "low": u.solved_low,
         "high": u.solved_high}
        for u in story.uses.values()
    ]  # fmt: skip


def write_file(path: Path, text: str) -> None:
    """Write a file, and the folders above it.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(path)) from None
