"""What a climb believes of true means and gains, and how sure it is of them.

A belief is a mean and a variance, and outcomes move it by the rule of Bayes for normal errors and
gains that are a mixture of two normals: usual ones, and a few great ones. It says what to build on
and what to put to the proof. The proof itself does not use it, so nothing here has to hold for the
guarantee.

Source: the updates: Kalman (1960), "A new approach to linear filtering and prediction problems".
A prior of gains that is learned from the proposals before: Efron & Morris (1975), "Data analysis
using Stein's estimator". That such a prior takes the winner's curse out of a selected estimate:
Senn (2008), "A note concerning a selection paradox of Dawid's".

All arrays have the independent runs first, as in `betting`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .betting import Array, Seen

PRIOR_WEIGHT = 4.0  # proposals that the first guess of their gains weighs
REMEMBERED = 0.8  # what a proposal weighs when the next one has come: good ones become rare
SMALLEST_SPREAD = 0.02  # standard deviation of gains; less would never be found out
# gains have a long tail: a few are several times as large as usual; by variance, and how many
RARE_SCALES, RARE_WEIGHTS = np.array([1.0, 25.0]), np.array([0.95, 0.05])
EXPECTED_DRAWS = 8.0  # what the expected variance of a draw weighs against those seen


@dataclass(slots=True)
class Level:
    """A true mean over all tasks: what it is taken for, and the variance of that, (runs,)."""

    mean: Array
    variance: Array

    @classmethod
    def unknown(cls, runs: int) -> Level:
        """Nothing is known."""
        return cls(np.full(runs, 0.5), np.full(runs, 1e3))

    def learn(self, rows: NDArray[Any], seen: Array, noise: Array) -> None:
        """Take in estimates of it with the variance `noise`, in the runs `rows`."""
        weight = self.variance[rows] / (self.variance[rows] + noise)
        self.mean[rows] += weight * (seen - self.mean[rows])
        self.variance[rows] *= 1 - weight

    def put(self, rows: NDArray[Any], other: Level) -> None:
        """Take over what another belief says of the runs `rows`."""
        self.mean[rows], self.variance[rows] = other.mean[rows], other.variance[rows]

    def copy(self) -> Level:
        """Return the same, to go on by itself."""
        return Level(self.mean.copy(), self.variance.copy())


class Gains:
    """The true gains of a run's proposals over what they built on: the prior of the next one.

    Args:
        spread: Their standard deviation as long as there were none.
        total, squares, weight: Sums over the proposals before, (runs,).
    """

    def __init__(self, spread: float, total: Array, squares: Array, weight: Array) -> None:
        self.spread = spread
        self.total, self.squares, self.weight = total, squares, weight

    def expected(self) -> tuple[Array, Array]:
        """Return the mean and the variance of the next gain.

        The mean is not taken above 0: a proposal is not good because earlier ones were.
        """
        weight = PRIOR_WEIGHT + self.weight
        variance = (PRIOR_WEIGHT * self.spread**2 + self.squares) / weight
        return np.minimum(self.total / weight, 0.0), np.maximum(variance, SMALLEST_SPREAD**2)

    def add(self, gain: Array, variance: Array) -> None:
        """Take in a gain that is known up to `variance`."""
        departure = gain - self.expected()[0]
        self.total = REMEMBERED * self.total + gain
        self.squares = REMEMBERED * self.squares + departure**2 + variance
        self.weight = REMEMBERED * self.weight + 1


class Screening:
    """The first outcomes of a candidate, and what its mean looks like by them.

    Args:
        seen: Outcomes of earlier versions that say what to expect of each task.
        gains: What earlier proposals gained.
    """

    def __init__(self, seen: Seen, gains: Gains) -> None:
        runs = len(seen.total)
        every = np.arange(runs)
        self.guess = seen.guesses(every)[0]
        self.usual = seen.variance(every)
        spread = np.sqrt(gains.expected()[1])
        # a gain that sits in few tasks varies by itself
        self._expected = np.maximum(self.usual, spread * (1 - np.minimum(spread, 0.9)))
        self.draws = np.zeros(runs)
        self._sum, self._squares = np.zeros(runs), np.zeros(runs)

    def settle(self, rows: NDArray[Any], task: NDArray[Any], outcome: Array) -> None:
        """Take in an outcome of one task in each of the runs `rows`."""
        departure = outcome - self.guess[rows, task]
        self._sum[rows] += departure
        self._squares[rows] += departure * departure
        self.draws[rows] += 1

    def estimate(self) -> tuple[Array, Array]:
        """Return the candidate's mean over all tasks, by these outcomes alone, and its variance."""
        draws = np.maximum(self.draws, 1)
        variance = (self._squares + EXPECTED_DRAWS * self._expected) / (draws + EXPECTED_DRAWS)
        return self.guess.mean(-1) + self._sum / draws, variance / draws


@dataclass(frozen=True, slots=True)
class Screened:
    """What the screening came to."""

    gain: Array  # over the version that it builds on, shrunk to what proposals gain
    variance: Array
    candidate: Level


def screened(level: Level, gains: Gains, screening: Screening) -> Screened:
    """Weigh a screening with what is known already.

    A candidate that looks better is better, or lucky, or what it builds on was taken for worse
    than it is: each gets its share. So `level` and `gains` learn from it too, in place.

    Args:
        level: Of the version that the candidate builds on.
        gains: What earlier proposals gained.
        screening: The candidate's first outcomes.
    """
    seen, noise = screening.estimate()
    expected, usual = gains.expected()
    spread = np.outer(RARE_SCALES, usual)  # (kinds of gain, runs)
    total = spread + level.variance + noise
    surprise = seen - level.mean - expected
    odds = RARE_WEIGHTS[:, None] * np.exp(-(surprise**2) / (2 * total)) / np.sqrt(total)
    odds /= odds.sum(0)
    both = spread + level.variance
    candidate = Level(
        *_mixed(odds, level.mean + expected + both / total * surprise, both * noise / total)
    )
    gain, variance = _mixed(
        odds, expected + spread / total * surprise, spread * (1 - spread / total)
    )
    level.mean, level.variance = _mixed(
        odds,
        level.mean + level.variance / total * surprise,
        level.variance * (1 - level.variance / total),
    )
    gains.add(gain, variance)
    return Screened(gain, variance, candidate)


def _mixed(odds: Array, means: Array, variances: Array) -> tuple[Array, Array]:
    """Return the mean and the variance of a mixture along the first axis."""
    mean: Array = (odds * means).sum(0)
    variance: Array = (odds * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance
