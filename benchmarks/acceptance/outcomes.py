"""Outcome models: how often an agent solves each task, fitted to real repeats.

Source of the fits: 400 MATH problems, each tried four times by the same agent, twice without
learned functions and twice after training; and ten epochs of twenty tasks in each of ten
trainings. `python -m benchmarks.acceptance.outcomes` fits anew where the recording is there; a
test compares what it finds with the numbers here.
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
# after training: the mean moved by this; what single tasks moved by beyond noise has this standard
# deviation ([0, 0.16] at 95 %), which is what normal log-odds of `SPREAD_ODDS` give
CHANGE, SPREAD, SPREAD_ODDS = -0.0375, 0.0713, 0.56
# epochs of one training differ by no more than noise does: 95 % bound of the standard deviation
EPOCH_BOUND = 0.017


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


def changed(rng: np.random.Generator, means: Array, gain: Array | float) -> Array:
    """Move the mean of each run by `gain`, spread over tasks as observed: some get worse."""
    odds = logit(np.clip(means, 1e-3, 1 - 1e-3)) + rng.normal(0, SPREAD_ODDS, means.shape)
    moved = expit(odds)
    return shifted(moved, means.mean(-1) + gain - moved.mean(-1))


def solved(rng: np.random.Generator, means: Array, gain: float) -> Array:
    """Move random tasks up to 0.97, one after the other, until the mean of each run has `gain`."""
    order = rng.permuted(np.tile(np.arange(means.shape[1]), (len(means), 1)), axis=1)
    room = np.maximum(0.97 - np.take_along_axis(means, order, 1), 0.0)
    before = np.cumsum(room, 1) - room
    taken = np.clip(gain * means.shape[1] - before, 0.0, room)
    moved = means.copy()
    np.put_along_axis(moved, order, np.take_along_axis(means, order, 1) + taken, 1)
    return moved


@dataclass(frozen=True)
class Fit:
    """What the recording says."""

    beta: tuple[float, float]
    counts: tuple[int, ...]
    change: float
    spread: float
    epoch_bound: float


def fit() -> Fit | None:
    """Fit the models to the recording; None where there is none."""
    if not RECORDING.exists():
        return None
    tries: dict[tuple[str, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    epochs: dict[str, Array] = defaultdict(lambda: np.zeros((10, 20)))
    with gzip.open(RECORDING, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["phase"] == "train":
                epochs[row["run"]][row["epoch"], row["index"]] = row["is_correct"]
            else:
                tries[row["type"], row["index"]][row["phase"]].append(int(row["is_correct"]))
    before = np.array([one["direct"] for one in tries.values()], float)
    after = np.array([one["test"] for one in tries.values()], float)
    counts = np.bincount((before.sum(1) + after.sum(1)).astype(int), minlength=5)
    moved = after.mean(1) - before.mean(1)
    noise = (before.var(1, ddof=1) + after.var(1, ddof=1)).mean() / 2
    return Fit(
        beta=_fit_beta(counts),
        counts=tuple(int(count) for count in counts),
        change=float(moved.mean()),
        spread=float(np.sqrt(max(0.0, moved.var(ddof=1) - noise))),
        epoch_bound=_epoch_bound(np.array(list(epochs.values()))),
    )


def _fit_beta(counts: NDArray[np.int_]) -> tuple[float, float]:
    k = np.arange(5)
    ways = gammaln(5) - gammaln(k + 1) - gammaln(5 - k)

    def loss(log_ab: Array) -> float:
        a, b = np.exp(log_ab)
        return -float((counts * (ways + betaln(a + k, b + 4 - k) - betaln(a, b))).sum())

    a, b = np.exp(minimize(loss, [-0.2, -1.4], method="Nelder-Mead").x)
    return float(a), float(b)


def _epoch_bound(right: Array) -> float:
    """Return the upper bound of the spread of epochs, from (trainings, epochs, tasks)."""
    between = right.mean(2).var(1, ddof=1)
    within = right.var(1, ddof=1).mean(1) / right.shape[2]
    excess = between - within
    bound = excess.mean() + 1.645 * excess.std(ddof=1) / np.sqrt(len(excess))
    return float(np.sqrt(max(0.0, bound)))


if __name__ == "__main__":
    print(fit())
