"""Geometry of the learning curve, in percent of the plot's box.

Lines become one SVG that is stretched to the box; marks and labels are HTML placed over it by
percentages, so that they keep their size on a phone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ..story import Story
from ..text import percent

_MOST_TICKS = 10  # labels on the x axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point with its interval."""

    kind: str  # accepted, rolled_back, unchanged, void, test
    x: float  # percent from the left
    y: float  # percent from the top
    top: float | None  # of the whisker
    height: float | None
    label: str  # tooltip, and what a screen reader says


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Everything that the template draws."""

    incumbent: str  # points of a polyline in a box of 100 by 100
    test: str
    marks: tuple[Mark, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    steps: int


def plot(story: Story) -> Plot | None:
    """Return the learning curve; None where there is nothing to plot."""
    incumbents = story.incumbents()
    if len(incumbents) < 2 or incumbents[0] is None:
        return None
    steps = len(story.steps)
    tests = _tests(story)
    return Plot(
        incumbent=_staircase([score for score in incumbents if score is not None], steps),
        test=" ".join(f"{_x(at, steps):.3f},{_y(score):.3f}" for at, score in tests)
        if len(tests) > 2
        else "",
        marks=(*_step_marks(story, steps), *_test_marks(story, steps)),
        x_ticks=tuple(_x_ticks(steps)),
        y_ticks=tuple((_y(share / 4), percent(share / 4).replace(".0", "")) for share in range(5)),
        steps=steps,
    )


def _x(step: int, steps: int) -> float:
    return 100 * (step + 0.5) / (steps + 1)


def _y(score: float) -> float:
    return 100 * (1 - min(max(score, 0.0), 1.0))


def _staircase(scores: list[float], steps: int) -> str:
    points = [f"0,{_y(scores[0]):.3f}"]
    for number, (before, after) in enumerate(itertools.pairwise(scores), start=1):
        x = _x(number, steps)
        points += [f"{x:.3f},{_y(before):.3f}", f"{x:.3f},{_y(after):.3f}"]
    points.append(f"100,{_y(scores[-1]):.3f}")
    return " ".join(points)


def _step_marks(story: Story, steps: int) -> Iterator[Mark]:
    for step in story.steps:
        if step.score is None:
            continue
        yield _mark(
            step.outcome,
            _x(step.step, steps),
            (step.score, step.score_low, step.score_high),
            f"step {step.step} {step.outcome.replace('_', ' ')}: {percent(step.score)}",
        )


def _test_marks(story: Story, steps: int) -> Iterator[Mark]:
    for number, scored in sorted(story.tests.items()):
        yield _mark(
            "test",
            _x(number, steps),
            (scored.score, scored.low, scored.high),
            f"sealed test, {scored.evaluation}: {percent(scored.score)}",
        )


def _mark(
    kind: str, x: float, scored: tuple[float, float | None, float | None], label: str
) -> Mark:
    score, low, high = scored
    if low is None or high is None:
        return Mark(kind=kind, x=x, y=_y(score), top=None, height=None, label=label)
    label = f"{label} [{low * 100:.1f}, {high * 100:.1f}]"
    return Mark(kind=kind, x=x, y=_y(score), top=_y(high), height=_y(low) - _y(high), label=label)


def _tests(story: Story) -> list[tuple[int, float]]:
    return [(number, scored.score) for number, scored in sorted(story.tests.items())]


def _x_ticks(steps: int) -> Iterator[tuple[float, str]]:
    every = max(-(-(steps + 1) // _MOST_TICKS), 1)
    for number in range(0, steps + 1, every):
        yield _x(number, steps), str(number) if number else "start"
