"""Geometry of a comparison's figures, in percent of their boxes.

Marks and labels are HTML placed by percentages, so that they keep their size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...text import percent
from ..story import ArmStory, ComparisonStory
from ..told import accuracy, difference, money, seconds, verdict

_MOST_PAIRS = 15  # in one figure
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label on an axis."""

    at: float  # percent
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A point with its interval on a horizontal axis."""

    label: str
    number: int  # of the arm, from 1; 0: a pair
    kind: str  # css class
    at: float | None  # None: there is none
    left: float
    width: float
    value: str  # at the right, for people
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Rows of points with intervals over one axis."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    zero: float | None = None  # percent, where a line marks no difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One arm in a scatter plot."""

    number: int
    x: float
    y: float
    top: float  # of the whisker
    height: float
    best: bool
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Accuracy against a price."""

    title: str
    dots: tuple[Dot, ...]
    front: str  # points of a polyline through the best, in a box of 100 by 100
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def accuracies(story: ComparisonStory) -> Forest:
    """Return every arm's accuracy."""
    return Forest(
        bars=tuple(_accuracy(number, arm) for number, arm in enumerate(story.arms, start=1)),
        ticks=tuple(
            Tick(at=25.0 * step, label=percent(step / 4).replace(".0", "")) for step in range(5)
        ),
    )


def _accuracy(number: int, arm: ArmStory) -> Bar:
    found = arm.estimate
    return Bar(
        label=arm.name,
        number=number,
        kind=f"arm{(number - 1) % 8}",
        at=100 * found.score if found else None,
        left=100 * found.low if found else 0.0,
        width=100 * (found.high - found.low) if found else 0.0,
        value=accuracy(arm),
        note=f"{arm.failed:,} failed" if arm.failed else "",
    )


def differences(story: ComparisonStory) -> Forest | None:
    """Return the differences of the pairs, of many the surest; None where there is no pair."""
    pairs = [pair for pair in story.pairs if pair.tasks]
    if not pairs:
        return None
    surest = sorted(pair.p_holm for pair in pairs)[:_MOST_PAIRS]
    pairs = [pair for pair in pairs if pair.p_holm <= surest[-1]][:_MOST_PAIRS]
    reach = max(0.05, *(max(abs(pair.low), abs(pair.high)) for pair in pairs))
    step = _step(reach / 2)
    reach = step * math.ceil(reach / step)
    count = round(reach / step)

    def place(value: float) -> float:
        return 50 + 50 * value / reach

    bars = tuple(
        Bar(
            label=f"{pair.b} − {pair.a}",
            number=0,
            kind=pair.verdict.replace(" ", "-"),
            at=place(pair.difference),
            left=place(pair.low),
            width=place(pair.high) - place(pair.low),
            value=difference(pair),
            note=verdict(pair),
        )
        for pair in pairs
    )
    ticks = tuple(
        Tick(at=place(number * step), label=f"{100 * number * step:+g}" if number else "0")
        for number in range(-count, count + 1)
    )
    return Forest(bars=bars, ticks=ticks, zero=50.0)


def scatters(story: ComparisonStory) -> list[Scatter]:
    """Return accuracy against cost and against latency, each where it is known."""
    costs = [arm.efficiency.usd_per_task for arm in story.arms]
    times = [(arm.efficiency.latency_s or (None,))[0] for arm in story.arms]
    found = [
        _scatter(story, "USD per task", costs, money, [arm.best_for_cost for arm in story.arms]),
        _scatter(
            story,
            "median latency of a call",
            times,
            seconds,
            [arm.best_for_latency for arm in story.arms],
        ),
    ]
    return [plot for plot in found if plot is not None]


def _scatter(
    story: ComparisonStory,
    title: str,
    prices: Sequence[float | None],
    spell: Callable[[float | None], str],
    best: Sequence[bool],
) -> Scatter | None:
    known = [price for price, arm in zip(prices, story.arms, strict=True)
             if price is not None and arm.estimate is not None]  # fmt: skip
    if not known or max(known) <= 0:
        return None
    step = _step(max(known) / 3)
    reach = step * math.ceil(max(known) * 1.02 / step)
    dots = []
    for number, (arm, price, on_front) in enumerate(
        zip(story.arms, prices, best, strict=True), start=1
    ):
        if price is None or arm.estimate is None:
            continue
        dots.append(
            Dot(
                number=number,
                x=100 * price / reach,
                y=100 * (1 - arm.estimate.score),
                top=100 * (1 - arm.estimate.high),
                height=100 * (arm.estimate.high - arm.estimate.low),
                best=on_front,
                label=f"{arm.name}: {accuracy(arm)}, {spell(price)}",
            )
        )
    front = sorted((dot.x, dot.y) for dot in dots if dot.best)
    return Scatter(
        title=title,
        dots=tuple(dots),
        front=" ".join(f"{x:.3f},{y:.3f}" for x, y in front) if len(front) > 1 else "",
        x_ticks=tuple(
            Tick(at=100 * number * step / reach, label=spell(number * step))
            for number in range(round(reach / step) + 1)
        ),
        y_ticks=tuple(
            Tick(at=100 - 25.0 * share, label=percent(share / 4).replace(".0", ""))
            for share in range(5)
        ),
    )


def _step(rough: float) -> float:
    """Return the next round number."""
    size = 10.0 ** math.floor(math.log10(rough))
    found: float = next(step * size for step in _STEPS if step * size >= rough * 0.999)
    return found
