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

from .drawing import WITHIN

Array = NDArray[np.float64]

WITHIN_WEIGHT = 10.0  # repeats that this guess weighs
UNKNOWN_VARIANCE = 0.12  # of an outcome about the guess, before there is any
SMALLEST_VARIANCE = 0.01
USUAL_VARIANCE = 0.1  # of an outcome about its guess, as real repeats show it
# bets against the incumbent, by gain / variance: such a bet pays most where bet * episodes is equal
# on both sides, and the incumbent has 1.5 to 10 times the candidate's; 0 bounds what is lost
INCUMBENT_BETS = (0.0, 0.035, 0.07, 0.12, 0.2, 0.35)
INCUMBENT_WEIGHTS = np.full(len(INCUMBENT_BETS), 1 / len(INCUMBENT_BETS))
# bets on a candidate, by gain / variance: half of what is growth-optimal for `gain`, because the
# variance is guessed; and more for large gains, which often come from tasks that are solved at once
CANDIDATE_BETS = (0.5, 1.4)
CANDIDATE_WEIGHTS = np.array([2 / 3, 1 / 3])
LARGEST_LOSS = 0.98  # a single outcome never takes more than this share of the wealth
MOST_LOG_WEALTH = 30.0  # more is thrown away: exp must not overflow
MOST_WEALTH = 1e150  # the same of one bet, on the linear scale: products must not overflow
EXPECTED_DRAWS = 5.0  # what the expected variance of a draw weighs against those seen
MOST_UNEQUAL = 0.5  # of the draws go by spread; more would cap the bets (see `LARGEST_LOSS`)


class Seen:
    """The outcomes of every task so far, and what they say of the next ones.

    A task mean is guessed by shrinking the task's own mean towards the mean over tasks: more where
    repeats of a task disagree, hardly where they never do. The ratio of the variance within tasks
    to that between them would be the best number of repeats to shrink by if the next outcomes
    were this version's. They are those of a changed one, and a guess that is too sure costs more
    than one that is not sure enough: we shrink by the third root of that ratio (measured).

    Source: the empirical Bayes estimator of Efron & Morris (1975), "Data analysis using Stein's
    estimator"; the share is one minus the intraclass correlation of Fisher (1925), by moments.

    Args:
        total: Sums of the outcomes, (runs, tasks).
        squares: Sums of their squares.
        count: Their numbers.
        within: The share of the variance within tasks that other versions showed, (runs,).
    """

    def __init__(
        self, total: Array, squares: Array, count: Array, within: Array | float = WITHIN
    ) -> None:
        self.total, self.squares = total.astype(float), squares.astype(float)
        self.count = count.astype(float)
        self.expected_within = np.broadcast_to(np.asarray(within, float), len(total)).copy()

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.total + other.total,
            self.squares + other.squares,
            self.count + other.count,
            self.expected_within,
        )

    def add(self, rows: NDArray[Any], outcomes: Array) -> None:
        """Add one outcome of every task in each of the runs `rows`."""
        self.total[rows] += outcomes
        self.squares[rows] += outcomes * outcomes
        self.count[rows] += 1

    def add_draw(self, rows: NDArray[Any], task: NDArray[Any], outcome: Array) -> None:
        """Add one outcome of one task in each of the runs `rows`."""
        self.total[rows, task] += outcome
        self.squares[rows, task] += outcome * outcome
        self.count[rows, task] += 1

    def overall(self, rows: NDArray[Any]) -> Array:
        """Return the mean over all outcomes; 1/2 where there are none."""
        number = self.count[rows].sum(-1)
        mean: Array = np.where(number > 0, self.total[rows].sum(-1) / np.maximum(number, 1), 0.5)
        return mean

    def within(self, rows: NDArray[Any]) -> Array:
        """Return the share of the variance within tasks, in (0, 1)."""
        total, squares, count = self.total[rows], self.squares[rows], self.count[rows]
        inside = (squares - total * total / np.maximum(count, 1)).sum(-1)
        repeats = np.maximum(count - 1, 0).sum(-1)
        around = self._around(rows)
        known = around > 1e-9
        seen = np.where(known, inside / np.maximum(around, 1e-9), 0.0)
        weight = WITHIN_WEIGHT + np.where(known, repeats, 0.0)
        share: Array = (WITHIN_WEIGHT * self.expected_within[rows] + seen) / weight
        return np.clip(share, 0.02, 0.98)

    def guesses(self, rows: NDArray[Any]) -> tuple[Array, Array]:
        """Return the guessed task means, (rows, tasks), and what they shrink by: repeats."""
        within = self.within(rows)
        strength: Array = np.cbrt(within / (1 - within))
        prior = (strength * self.overall(rows))[:, None]
        guess: Array = (prior + self.total[rows]) / (strength[:, None] + self.count[rows])
        return guess, strength

    def variance(self, rows: NDArray[Any]) -> Array:
        """Return the expected variance of the next outcome about its guess, mean over tasks."""
        within = self.within(rows)
        strength = (within / (1 - within))[:, None]
        unsure = 1 + (1 / (strength + self.count[rows])).mean(-1)
        expected = np.maximum(self._around(rows) * within * unsure, SMALLEST_VARIANCE)
        known = self.count[rows].sum(-1) > 0
        variance: Array = np.where(known, expected, UNKNOWN_VARIANCE)
        return variance

    def _around(self, rows: NDArray[Any]) -> Array:
        """Return the variance of all outcomes about the overall mean."""
        number = np.maximum(self.count[rows].sum(-1), 1)
        around: Array = self.squares[rows].sum(-1) / number - self.overall(rows) ** 2
        return np.maximum(around, 0.0)


def aimed(gain: float, variance: Array) -> Array:
    """Return the gain to bet on: `gain`, down to half of it where outcomes hardly vary.

    What it takes to find a gain grows with variance / gain ** 2: there, smaller ones cost no more.
    """
    sought: Array = gain * np.clip(np.sqrt(2 * variance / USUAL_VARIANCE), 0.5, 1.0)
    return sought


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


def log_mixture(wealths: Array, weights: Array) -> Array:
    """Return the log of the weighted mean over the bets on axis 1."""
    mixed: Array = np.log(np.maximum(np.einsum("rbg,b->rg", wealths, weights), 1e-300))
    return mixed


class IncumbentBets:
    """The bets that the incumbent's mean is below each value of the nuisance, round by round.

    Args:
        older: Outcomes that only form the first guesses, because they were selected.
        mu: Values of the nuisance, (runs, grid) or (1, grid) for all runs alike.
        gain: The true gain that the bets are made for.
    """

    def __init__(self, older: Seen, mu: Array, gain: float) -> None:
        self.mu, self.gain = mu, gain
        self.seen = older
        self.fresh_total = np.zeros(len(older.total))
        self.rounds = np.zeros(len(older.total))
        self.wealths = np.ones((len(older.total), len(INCUMBENT_BETS), mu.shape[1]))

    def settle(self, rows: NDArray[Any], outcomes: Array) -> None:
        """Settle a round: one outcome of every task in each of the runs `rows`."""
        guess = self.seen.guesses(rows)[0][:, None, :]
        spread = (guess * (1 - guess)).mean(-1, keepdims=True)
        mu = self.mu[rows, :, None] if len(self.mu) > 1 else self.mu[:, :, None]
        centre = centres(guess, guess.mean(-1, keepdims=True), spread, mu)
        edge = outcomes[:, None, :] - centre
        variance = self.seen.variance(rows)
        scale = (aimed(self.gain, variance) / variance)[:, None, None]
        for index, share in enumerate(INCUMBENT_BETS):
            bet = np.minimum(share * scale, LARGEST_LOSS)
            grown = self.wealths[rows, index] * (1 - bet * edge).prod(-1)
            self.wealths[rows, index] = np.minimum(grown, MOST_WEALTH)
        self.seen.add(rows, outcomes)
        self.fresh_total[rows] += outcomes.mean(-1)
        self.rounds[rows] += 1

    def log_wealth(self, rows: NDArray[Any]) -> Array:
        """Return the log wealth of the runs `rows` at each value of the nuisance."""
        return log_mixture(self.wealths[rows], INCUMBENT_WEIGHTS)

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
        seen: Outcomes that form the first guesses; not changed.
        mu: Values of the nuisance, (runs, grid) or (1, grid); the candidate must beat them by
            `drift`.
        gain: The true gain that the bets are made for.
    """

    def __init__(self, seen: Seen, mu: Array, gain: float, drift: float = 0.0) -> None:
        runs, self.tasks = seen.total.shape
        every = np.arange(runs)
        self.mu = np.minimum(mu + drift, 1.0)
        self.start, self._strength = seen.guesses(every)
        self.chances = draw_chances(self.start)
        self._overall = seen.overall(every)  # what guesses shrink to
        self.variance = seen.variance(every)
        cap = LARGEST_LOSS / (1 / (self.tasks * self.chances)).max(-1)
        self.gain = aimed(gain, self.variance)
        wanted = np.outer(self.gain / self.variance, CANDIDATE_BETS)
        self.bets: Array = np.minimum(wanted, cap[:, None])
        self.wealths = np.ones((runs, len(CANDIDATE_BETS), mu.shape[1]))
        self._total, self._count = seen.total.copy(), seen.count.copy()
        self._guess = self.start.copy()
        self._mean = self.start.mean(-1)
        self._spread = (self.start * (1 - self.start)).mean(-1)
        self.draws = np.zeros(runs)
        self._sum = np.zeros(runs)
        self._squares = np.zeros(runs)
        # of departures from the first guesses; a gain that sits in few tasks varies by itself
        self._expected = np.maximum(self.variance, self.gain * (1 - np.minimum(self.gain, 0.9)))

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
        strength = self._strength[rows]
        after = (strength * self._overall[rows] + self._total[rows, task]) / (
            strength + self._count[rows, task]
        )
        self._guess[rows, task] = after
        self._mean[rows] += (after - before) / self.tasks
        self._spread[rows] += (after * (1 - after) - before * (1 - before)) / self.tasks

    def learn(self, rows: NDArray[Any], outcomes: Array) -> None:
        """Improve the guesses by a round of the incumbent's outcomes."""
        self._total[rows] += outcomes
        self._count[rows] += 1
        strength = self._strength[rows, None]
        prior = strength * self._overall[rows, None]
        guess = (prior + self._total[rows]) / (strength + self._count[rows])
        self._guess[rows] = guess
        self._mean[rows] = guess.mean(-1)
        self._spread[rows] = (guess * (1 - guess)).mean(-1)

    def log_wealth(self, rows: NDArray[Any]) -> Array:
        """Return the log wealth of the runs `rows` at each value of the nuisance."""
        return log_mixture(self.wealths[rows], CANDIDATE_WEIGHTS)

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


def known(
    incumbent: Array, mu: Array, candidate: Array, kept: Array, staked: Array | float
) -> Array:
    """Return the log wealth that `combined` would come to if the incumbent's mean were known.

    Args:
        incumbent: Its observed mean, (runs,).
        mu: The grid, (runs, grid) or (1, grid).
        candidate, kept, staked: See `combined`.
    """
    after = kept * (1 - staked + staked * np.exp(np.minimum(candidate, MOST_LOG_WEALTH)))
    nearest = np.abs(mu - incumbent[:, None]).argmin(-1)[:, None]
    wealth: Array = np.log(np.maximum(np.take_along_axis(after, nearest, -1)[:, 0], 1e-300))
    return wealth


def futile(estimate: Array, variance: Array, gain: Array, miss: float) -> NDArray[np.bool_]:
    """Tell where the outcomes speak against a true gain of `gain`, by 1 / `miss` to one.

    The lower boundary of Wald's sequential probability ratio test of `gain` against none, on the
    normal approximation. It cannot harm the guarantee, which holds for every way of stopping; a
    true `gain` is given up by it with a chance of about `miss`.
    """
    verdict: NDArray[np.bool_] = gain * (estimate - gain / 2) / variance <= np.log(miss)
    return verdict
