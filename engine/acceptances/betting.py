"""Test supermartingales for "the candidate's mean over the tasks is not above the incumbent's".

A gambler starts with 1 and may only bet on games that are fair or worse when the null is true.
By Ville's inequality the wealth ever reaches 1 / alpha with chance at most alpha, whenever and
however often one looks. The null is the weak one: with task means p (candidate) and s (incumbent),
mean(p) <= mean(s); single tasks may get better or worse.

**Candidate.** Task t is drawn with chance pi_t, independently of everything else, and its outcome
x in [0, 1] multiplies the wealth by 1 + L u_t (x - m_t), with u_t = 1 / (n pi_t) and centres m
whose mean over all n tasks is mu. The expectation is 1 + L (mean(p) - mu): at most 1 whenever
mean(p) <= mu, for any bet L and any centres that were fixed before the draw. Centres near the
true task means take the variance between tasks out of the game. The best centres are q with
p_t - q_t = L q_t (1 - q_t): the product is then the growth-optimal e-value of the composite null.

**Incumbent.** Its rounds hold every task once. A round multiplies the wealth of a bet against it
by prod_t (1 - L (x_t - m_t)); as the outcomes are independent given the versions, the expectation
is prod_t (1 - L (s_t - m_t)) <= (1 - L (mean(s) - mu)) ** n <= 1 whenever mean(s) >= mu, by the
inequality of arithmetic and geometric means.

**Both.** mean(s) is a nuisance: the product of the two wealths is a supermartingale at
mu = mean(s), so its minimum over mu is at most the wealth at the true value.

Source: betting: Waudby-Smith & Ramdas (2023), "Estimating means of bounded random variables by
betting", section 4; means over strata and the minimum over the nuisance: Spertus, Sridhar & Stark
(2024), "Sequential stratified inference for the mean"; growth optimality: Grünwald, de Heide &
Koolen (2024), "Safe testing"; unequal sampling: Horvitz & Thompson (1952) weights. The centres per
task, their form and the joint use with a stored incumbent are ours.

All arrays have the independent runs first, so that a simulation plays thousands at once; a
training is one run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PRIOR_STRENGTH = 1.0  # a + b of the Beta prior of task means; fitted to real repeats: 1.05
LARGEST_LOSS = 0.98  # a single outcome never takes more than this share of the wealth
MOST_LOG_WEALTH = 30.0  # more is thrown away: exp must not overflow
MOST_WEALTH = 1e150  # the same of one bet, on the linear scale: products must not overflow
EXPECTED_DRAWS = 5.0  # what the expected variance of a draw weighs against those seen
MOST_UNEQUAL = 0.2  # of the draws go by spread; more would cap the bets (see `LARGEST_LOSS`)


def shrunk(total: Array, count: Array, strength: float = PRIOR_STRENGTH) -> Array:
    """Return posterior task means, shrunk to the mean over tasks; 1/2 where nothing is known."""
    known = count.sum(-1, keepdims=True)
    overall = np.where(known > 0, total.sum(-1, keepdims=True) / np.maximum(known, 1), 0.5)
    shrunken: Array = (strength * overall + total) / (strength + count)
    return shrunken


def centres(guess: Array, mean: Array, spread: Array, mu: Array) -> Array:
    """Move guesses so that their mean over all tasks becomes `mu`, and stay in [0, 1].

    Up to one full step c = 1 along guess + c * guess * (1 - guess), which a common shift of the
    log-odds follows to first order; the rest straight towards 1 or 0.

    Args:
        guess: Task means that are moved.
        mean: Mean of the guesses over all tasks.
        spread: Mean of guess * (1 - guess) over all tasks.
        mu: Wanted mean; all four broadcast.
    """
    step = np.clip((mu - mean) / np.maximum(spread, 1e-9), -1.0, 1.0)
    moved = guess + step * guess * (1 - guess)
    reached = mean + step * spread
    up = np.maximum(mu - reached, 0.0) / np.maximum(1 - reached, 1e-9)
    down = np.minimum(mu / np.maximum(reached, 1e-9), 1.0)
    result: Array = (moved + (1 - moved) * up) * down
    return result


def log_mixture(wealths: Array) -> Array:
    """Return the log of the mean over the bets on axis 1."""
    mixed: Array = np.log(np.maximum(wealths.mean(1), 1e-300))
    return mixed


class IncumbentBets:
    """The bets that the incumbent's mean is below each value of the nuisance, round by round.

    Args:
        total: Sums of older outcomes per task, (runs, tasks); they only form the first guess.
        count: Their numbers.
        mu: Values of the nuisance, (runs, grid) or (1, grid) for all runs alike.
        gain: The true gain that the bets are made for.
    """

    def __init__(self, total: Array, count: Array, mu: Array, gain: float) -> None:
        self.mu = mu
        self.total, self.count = total.astype(float), count.astype(float)
        self.fresh_total = np.zeros(len(total))
        self.rounds = np.zeros(len(total))
        # a bet pays most where bet * episodes is equal on both sides: the incumbent's are smaller
        # as it has several times the candidate's episodes
        self.bets = np.minimum(np.array([0.5, 1.2, 3.0]) * gain, LARGEST_LOSS)
        self.wealths = np.ones((len(total), len(self.bets), mu.shape[1]))

    def settle(self, rows: NDArray[Any], outcomes: Array) -> None:
        """Settle a round: one outcome of every task in each of the runs `rows`."""
        guess = shrunk(self.total[rows], self.count[rows])[:, None, :]
        spread = (guess * (1 - guess)).mean(-1, keepdims=True)
        mu = self.mu[rows, :, None] if len(self.mu) > 1 else self.mu[:, :, None]
        centre = centres(guess, guess.mean(-1, keepdims=True), spread, mu)
        edge = outcomes[:, None, :] - centre
        for index, bet in enumerate(self.bets):
            grown = self.wealths[rows, index] * (1 - bet * edge).prod(-1)
            self.wealths[rows, index] = np.minimum(grown, MOST_WEALTH)
        self.total[rows] += outcomes
        self.count[rows] += 1
        self.fresh_total[rows] += outcomes.mean(-1)
        self.rounds[rows] += 1

    def log_wealth(self, rows: NDArray[Any]) -> Array:
        """Return the log wealth of the runs `rows` at each value of the nuisance."""
        return log_mixture(self.wealths[rows])

    def mean(self, rows: NDArray[Any]) -> Array:
        """Return the incumbent's mean score over the settled rounds."""
        score: Array = self.fresh_total[rows] / np.maximum(self.rounds[rows], 1)
        return score


def draw_chances(guess: Array, unequal: float = MOST_UNEQUAL) -> Array:
    """Return the chance of each task to be drawn: more where outcomes vary more.

    Source: Neyman (1934) allocation, mixed with equal chances so that weights stay bounded.
    """
    deviation = np.sqrt(np.maximum(guess * (1 - guess), 1e-6))
    share = deviation / deviation.sum(-1, keepdims=True)
    chances: Array = (1 - unequal) / guess.shape[-1] + unequal * share
    return chances


class CandidateBets:
    """The bets on one candidate in each of many runs, one draw at a time.

    Args:
        total: Sums of the incumbent's outcomes per task, (runs, tasks).
        count: Their numbers.
        mu: Values of the nuisance, (runs, grid) or (1, grid); the candidate must beat them by
            `drift`.
        gain: The true gain that the bets are made for.
    """

    def __init__(
        self, total: Array, count: Array, mu: Array, gain: float, drift: float = 0.0
    ) -> None:
        self.tasks = total.shape[-1]
        self.mu = np.minimum(mu + drift, 1.0)
        self.start = shrunk(total, count)
        self.chances = draw_chances(self.start)
        self._overall = self.start.mean(-1)  # what guesses shrink to
        self.variance = np.maximum((self.start * (1 - self.start)).mean(-1), 0.01)
        cap = LARGEST_LOSS / (1 / (self.tasks * self.chances)).max(-1)
        # growth-optimal for somewhat less than `gain`, and for twice as much: large gains, which
        # often come from tasks that are solved at once, are found after half the draws
        wanted = np.stack([0.7 * gain / self.variance, 2.0 * gain / self.variance], -1)
        self.bets: Array = np.minimum(wanted, cap[:, None])
        self.wealths = np.ones((len(total), self.bets.shape[1], mu.shape[1]))
        self._total, self._count = total.astype(float), count.astype(float)
        self._guess = self.start.copy()
        self._mean = self.start.mean(-1)
        self._spread = (self.start * (1 - self.start)).mean(-1)
        self.draws = np.zeros(len(total))
        self._sum = np.zeros(len(total))
        self._squares = np.zeros(len(total))
        # of departures from the first guesses; a gain that sits in few tasks varies by itself
        self._expected = np.maximum(self.variance, gain * (1 - min(gain, 0.9)))

    def settle(self, rows: NDArray[Any], task: NDArray[Any], outcome: Array) -> None:
        """Settle one draw in each of the runs `rows`: `task` was drawn and gave `outcome`."""
        guess = self._guess[rows, task]
        weight = 1 / (self.tasks * self.chances[rows, task])
        mu = self.mu[rows] if len(self.mu) > 1 else self.mu
        centre = centres(guess[:, None], self._mean[rows, None], self._spread[rows, None], mu)
        edge = weight[:, None] * (outcome[:, None] - centre)
        grown = self.wealths[rows] * (1 + self.bets[rows][:, :, None] * edge[:, None, :])
        self.wealths[rows] = np.minimum(grown, MOST_WEALTH)
        self.draws[rows] += 1
        departure = weight * (outcome - self.start[rows, task])
        self._sum[rows] += departure
        self._squares[rows] += departure * departure
        self._learn(rows, task, outcome)

    def _learn(self, rows: NDArray[Any], task: NDArray[Any], outcome: Array) -> None:
        self._total[rows, task] += outcome
        self._count[rows, task] += 1
        before = self._guess[rows, task]
        after = (PRIOR_STRENGTH * self._overall[rows] + self._total[rows, task]) / (
            PRIOR_STRENGTH + self._count[rows, task]
        )
        self._guess[rows, task] = after
        self._mean[rows] += (after - before) / self.tasks
        self._spread[rows] += (after * (1 - after) - before * (1 - before)) / self.tasks

    def learn(self, rows: NDArray[Any], outcomes: Array) -> None:
        """Improve the guesses by a round of the incumbent's outcomes."""
        self._total[rows] += outcomes
        self._count[rows] += 1
        prior = PRIOR_STRENGTH * self._overall[rows, None]
        guess = (prior + self._total[rows]) / (PRIOR_STRENGTH + self._count[rows])
        self._guess[rows] = guess
        self._mean[rows] = guess.mean(-1)
        self._spread[rows] = (guess * (1 - guess)).mean(-1)

    def log_wealth(self, rows: NDArray[Any]) -> Array:
        """Return the log wealth of the runs `rows` at each value of the nuisance."""
        return log_mixture(self.wealths[rows])

    def spread(self, rows: NDArray[Any]) -> Array:
        """Return the variance of one draw, as far as it is known: what was expected, and seen."""
        seen = self._squares[rows] + EXPECTED_DRAWS * self._expected[rows]
        number = self.draws[rows] + EXPECTED_DRAWS
        centre = self._sum[rows] / np.maximum(self.draws[rows], 1)
        variance: Array = seen / number - centre**2 * self.draws[rows] / number
        return np.maximum(variance, 0.005)

    def mean(self, rows: NDArray[Any]) -> Array:
        """Return the estimate of the candidate's mean over all tasks.

        A difference estimator: departures from the first guesses, each weighted by the inverse
        chance of its draw, on top of the mean of those guesses.
        """
        departure = self._sum[rows] / np.maximum(self.draws[rows], 1)
        score: Array = departure + self.start[rows].mean(-1)
        return score


def smallest(log_wealth: Array) -> Array:
    """Return the minimum over the nuisance, taking off what a parabola dips between grid points."""
    where = np.clip(log_wealth.argmin(-1), 1, log_wealth.shape[-1] - 2)[:, None]
    near = np.take_along_axis(log_wealth, np.concatenate([where - 1, where, where + 1], -1), -1)
    dip = np.maximum(near[:, 0] - 2 * near[:, 1] + near[:, 2], 0.0) / 8
    lowest: Array = log_wealth.min(-1) - dip
    return lowest


def combined(incumbent: Array, candidate: Array, kept: Array, staked: Array | float) -> Array:
    """Return the smallest log wealth of the run while one candidate is tested.

    Args:
        incumbent: Log wealth of the bets on the incumbent, (runs, grid).
        candidate: Log wealth of the bets on the candidate.
        kept: Wealth that earlier candidates of the run left, (runs, grid).
        staked: The share of it that is bet on this candidate, a number or (runs, 1).
    """
    after = kept * (1 - staked + staked * np.exp(np.minimum(candidate, MOST_LOG_WEALTH)))
    return smallest(incumbent + np.log(np.maximum(after, 1e-300)))


def futile(estimate: Array, variance: Array, gain: float, miss: float) -> NDArray[np.bool_]:
    """Tell where the outcomes speak against a true gain of `gain`, by 1 / `miss` to one.

    The lower boundary of Wald's sequential probability ratio test of `gain` against none, on the
    normal approximation. It cannot harm the guarantee, which holds for every way of stopping; a
    true `gain` is given up by it with a chance of about `miss`.
    """
    verdict: NDArray[np.bool_] = gain * (estimate - gain / 2) / variance <= np.log(miss)
    return verdict
