"""What the sequential policies share: a seeded order of draws, and names for what they keep."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from ..acceptance import Scores

if TYPE_CHECKING:
    from .betting import Seen

WITHIN = 0.5  # share of the variance of outcomes that lies within tasks; real repeats: 0.51


class Draws:
    """Tasks drawn independently with known chances, in an order that the seed fixes.

    Args:
        seed: Equal seed, equal order.
        chances: Of each task; they need not sum to 1.
    """

    def __init__(self, seed: str, chances: Sequence[float]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a design, not a secret
        self._edges = list(accumulate(chances))
        self._drawn: list[int] = []

    def task(self, draw: int) -> int:
        """Return the index of the task of draw `draw`, from 0."""
        while len(self._drawn) <= draw:
            point = self._random.random() * self._edges[-1]
            self._drawn.append(min(bisect(self._edges, point), len(self._edges) - 1))
        return self._drawn[draw]


def tasks_key(tasks: Sequence[str]) -> str:
    """Return a short name for a set of tasks."""
    text = "\x00".join(tasks).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:16]


def clipped(score: float) -> float:
    """Return an estimate within the range of scores."""
    return min(1.0, max(0.0, float(score)))


def seen(scores: Scores, tasks: Sequence[str], within: float) -> Seen:
    """Return the scored outcomes of these tasks as the bets take them."""
    import numpy as np

    from .betting import Seen

    known = [[one for one in scores.get(task, ()) if one is not None] for task in tasks]
    return Seen(
        np.array([[sum(outcomes) for outcomes in known]], dtype=float),
        np.array([[sum(one * one for one in outcomes) for outcomes in known]], dtype=float),
        np.array([[len(outcomes) for outcomes in known]], dtype=float),
        within,
    )


def first(scores: Scores, numbers: Mapping[str, int]) -> Scores:
    """Return the first outcomes of each task, as many as `numbers` says."""
    return {task: scores.get(task, ())[:number] for task, number in numbers.items()}


def told(estimate: float, half: float, episodes: int, tasks: int, left_out: int) -> str:
    """Write what a step saw of a gain, for people and the optimizer."""
    found = (
        f"{100 * estimate:+.1f} ± {100 * half:.1f} points after {episodes} episodes"
        f" on {tasks} tasks"
    )
    return f"{found} ({left_out} left out: their episodes failed)" if left_out else found
