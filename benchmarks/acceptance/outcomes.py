"""Outcome models: how often an agent solves each task, fitted to real repeats.

Source of the fit: 400 MATH problems, each tried four times by the same agent (two runs without
learned functions, two after training, which changed nothing measurable). A Beta distribution of
the task means fits the counts of right answers; `fit` repeats that where the recording is there.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, logit

Array = NDArray[np.float64]

RECORDING = Path(__file__).parents[3] / "shared" / "data" / "recorded_math" / "episodes.jsonl.gz"
FITTED = (0.8015, 0.2458)  # Beta of the task means
COUNTS = (34, 35, 34, 65, 232)  # problems solved 0, 1, 2, 3, 4 times out of 4


@dataclass(frozen=True)
class Outcomes:
    """A distribution of tasks and of the scores on them."""

    name: str  # fitted | bootstrap
    graded: bool = False

    def tasks(self, rng: np.random.Generator, runs: int, tasks: int) -> Array:
        """Return true task means, (runs, tasks)."""
        if self.name == "fitted":
            return rng.beta(*FITTED, (runs, tasks))
        shares = np.array(COUNTS) / sum(COUNTS)
        return rng.choice(np.arange(5), (runs, tasks), p=shares) / 4

    def scores(self, rng: np.random.Generator, means: Array) -> Array:
        """Return one score for each mean."""
        if not self.graded:
            return (rng.random(means.shape) < means).astype(float)
        inside = np.clip(means, 1e-6, 1 - 1e-6)
        quality = rng.beta(3 * inside, 3 * (1 - inside))  # of this episode
        return rng.binomial(4, quality) / 4  # four parts, each right or wrong


def shifted(means: Array, gain: Array | float) -> Array:
    """Move every task by the same log-odds, so that the mean of each run moves by `gain`."""
    odds = logit(np.clip(means, 1e-3, 1 - 1e-3))
    wanted = np.clip(means.mean(-1) + gain, 0.02, 0.985)
    low, high = np.full(len(means), -15.0), np.full(len(means), 15.0)
    for _ in range(45):
        middle = (low + high) / 2
        below = expit(odds + middle[:, None]).mean(-1) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    moved: Array = expit(odds + high[:, None])
    return moved


def solved(rng: np.random.Generator, means: Array, gain: float) -> Array:
    """Move random tasks up to 0.97, one after the other, until the mean of each run has `gain`."""
    order = rng.permuted(np.tile(np.arange(means.shape[1]), (len(means), 1)), axis=1)
    room = np.maximum(0.97 - np.take_along_axis(means, order, 1), 0.0)
    before = np.cumsum(room, 1) - room
    taken = np.clip(gain * means.shape[1] - before, 0.0, room)
    moved = means.copy()
    np.put_along_axis(moved, order, np.take_along_axis(means, order, 1) + taken, 1)
    return moved


def fit() -> tuple[float, float, tuple[int, ...]] | None:
    """Fit the Beta to the recording; None where there is none."""
    if not RECORDING.exists():
        return None
    right: dict[tuple[str, int], int] = defaultdict(int)
    with gzip.open(RECORDING, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["phase"] in ("direct", "test"):
                right[row["type"], row["index"]] += bool(row["is_correct"])
    counts = np.bincount(list(right.values()), minlength=5)
    k = np.arange(5)
    ways = gammaln(5) - gammaln(k + 1) - gammaln(5 - k)

    def loss(log_ab: Array) -> float:
        a, b = np.exp(log_ab)
        return -float((counts * (ways + betaln(a + k, b + 4 - k) - betaln(a, b))).sum())

    a, b = np.exp(minimize(loss, [-0.2, -1.4], method="Nelder-Mead").x)
    return float(a), float(b), tuple(int(count) for count in counts)
