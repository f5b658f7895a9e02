"""A comparison as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping

from ..text import duration, plural, printable, usd
from .story import ComparisonStory
from .tables import tables

_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would execute in a text


def markdown(story: ComparisonStory) -> str:
    """Return the tables as Markdown. Text of models and files cannot leave its cell."""
    run = story.run
    lines = [
        f"# {_cell(run.name) or run.run_id}",
        "",
        f"Run `{run.run_id}`, {run.status}: {plural(len(story.arms), 'arm')}, "
        f"{plural(story.tasks, 'task')} x {story.repeats}, seed {run.seed}; "
        f"{plural(run.usage.calls, 'call')}, {usd(run.usage.cost_usd)}, {duration(run.seconds)}.",
    ]
    if run.message:
        lines += ["", f"> {_cell(run.message)}"]
    for table in tables(story):
        lines += ["", f"## {table.title}", "", _row(table.head), _row(("---",) * len(table.head))]
        lines += [_row(row) for row in table.rows]
        lines += ["", _cell(table.note)]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    text = printable(" ".join(text.split()))
    for mark in "\\`*_{}[]<>|#":
        text = text.replace(mark, f"\\{mark}" if mark not in "<>" else f"&{_NAMES[mark]};")
    return text


_NAMES = {"<": "lt", ">": "gt"}


def episodes_csv(story: ComparisonStory) -> str:
    """Return one line per task and arm: its score in each repeat; empty where it failed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    repeats = [f"score_{repeat}" for repeat in range(story.repeats)]
    writer.writerow(["task", "category", "arm", "model", "parameters", *repeats])
    for arm in story.arms:
        for task, scores in story.scores.get(arm.name, {}).items():
            category = story.categories.get(task, "")
            texts = map(_text, (task, category, arm.name, arm.model, arm.learned or "untrained"))
            writer.writerow([*texts, *("" if score is None else score for score in scores)])
    return file.getvalue()


def _text(value: str) -> str:
    value = printable(value)
    return f"'{value}" if value.startswith(_FORMULA) else value


FILES: Mapping[str, Callable[[ComparisonStory], str]] = {".md": markdown, ".csv": episodes_csv}
