"""The learning curve in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .story import Story
from .text import percent

_HEIGHT = 11  # rows: one per 10 points
_GUTTER = 6  # columns of the axis
Style = str


@dataclass(frozen=True, slots=True)
class Cell:
    """One character and its rich style."""

    text: str
    style: Style = ""


def curve(story: Story, width: int) -> list[list[Cell]]:
    """Return the rows of the plot, top first; empty where there is nothing to plot.

    Args:
        story: The run.
        width: Columns there are. Longer runs show their last steps.
    """
    incumbents = story.incumbents()
    if len(incumbents) < 2 or incumbents[0] is None:
        return []
    room = max((width - _GUTTER) // 3, 2)
    first = max(len(incumbents) - room, 0)
    grid = [[Cell(" ")] * ((len(incumbents) - first) * 3) for _ in range(_HEIGHT)]
    for column, number in enumerate(range(first, len(incumbents))):
        _plot(grid, column * 3, story, number, incumbents[number])
    rows = [[Cell(label, "dim"), *row] for label, row in zip(_axis(), grid, strict=True)]
    ticks = "".join(f"{number:<3}" for number in range(first, len(incumbents)))
    rows.append([Cell(f"{'step':>{_GUTTER - 2}}  {ticks}", "dim")])
    return rows


def legend() -> list[Cell]:
    """Return what the marks mean."""
    return [
        Cell("      "),
        Cell("●", "green"), Cell(" accepted   ", "dim"),
        Cell("×", "red"), Cell(" rolled back   ", "dim"),
        Cell("─", "blue"), Cell(" incumbent   ", "dim"),
        Cell("◆", "magenta"), Cell(" sealed test", "dim"),
    ]  # fmt: skip


def _plot(
    grid: list[list[Cell]], column: int, story: Story, number: int, incumbent: float | None
) -> None:
    def put(score: float | None, offset: int, cell: Cell) -> None:
        if score is not None:
            grid[_row(score)][column + offset] = cell

    for offset in range(3):
        put(incumbent, offset, Cell("─", "blue"))
    test = story.tests.get(number)
    if number == 0:
        test = story.before.get("test", test)
    elif number == len(story.steps):
        test = story.after.get("test", test)
    put(test.score if test else None, 1, Cell("◆", "magenta"))
    if number > 0:
        step = story.steps[number - 1]
        mark = Cell("●", "bold green") if step.accepted else Cell("×", "red")
        put(step.score, 0, mark)


def _row(score: float) -> int:
    share = min(max(score, 0.0), 1.0)
    return round((1 - share) * (_HEIGHT - 1))


def _axis() -> Iterator[str]:
    for row in range(_HEIGHT):
        label = percent(1 - row / (_HEIGHT - 1)).replace(".0 %", "") if row % 2 == 0 else ""
        yield f"{label:>{_GUTTER - 2}} {'┤' if label else '│'}"
