"""A comparison as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from urllib.parse import quote

from ..text import duration, plural, printable, usd
from .heat import svg
from .story import ComparisonStory
from .tables import matrices, tables
from .transfer import by_category, transfer

_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would execute in a text


def markdown(story: ComparisonStory, stem: str) -> str:
    """Return the tables as Markdown. Text of models and files cannot leave its cell.

    Args:
        story: The comparison.
        stem: How the names of its files begin, for the figure beside.
    """
    run = story.run
    lines = [
        f"# {_cell(run.name) or run.run_id}",
        "",
        f"Run `{run.run_id}`, {run.status}: {plural(len(story.arms), 'arm')}, "
        f"{plural(story.tasks, 'task')} x {story.repeats}, seed {run.seed}; "
        f"{plural(story.usage.calls, 'call')}, {usd(story.usage.cost_usd)}, "
        f"{duration(run.seconds)}.",
    ]
    if run.message:
        lines += ["", f"> {_cell(run.message)}"]
    figure_due = True
    for table in tables(story):
        lines += ["", f"## {table.title}", ""]
        if table.heat and figure_due:
            lines += [f"![What was learned, elsewhere]({quote(stem)}{FIGURE})", ""]
            figure_due = False
        lines += [_row(table.head), _row(("---",) * len(table.head))]
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


def matrices_svg(story: ComparisonStory, _: str) -> str | None:
    """Return the matrices as a heat map; None where there is none."""
    found = list(matrices(story))
    return svg(found) if found else None


def cells_csv(story: ComparisonStory, _: str) -> str | None:
    """Return one line per cell of the matrices; None where there is none."""
    cells = [*transfer(story), *by_category(story)]
    if not cells:
        return None
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_CELL)
    for cell in cells:
        values = (getattr(cell, name) for name in _CELL)
        writer.writerow(
            ["" if one is None else _text(one) if isinstance(one, str) else one for one in values]
        )
    return file.getvalue()


def episodes_csv(story: ComparisonStory, _: str) -> str:
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


FIGURE = ".transfer.svg"
_CELL = ("learned", "model", "category", "arm", "base", "score", "low", "high", "tasks", "gain",
         "gain_low", "gain_high", "p_holm", "sure", "home")  # fmt: skip

# ending -> what makes the file of a story and the beginning of its name; None: there is none
FILES: Mapping[str, Callable[[ComparisonStory, str], str | None]] = {
    ".md": markdown,
    ".csv": episodes_csv,
    ".transfer.csv": cells_csv,
    FIGURE: matrices_svg,
}
