"""The sequential policy on thousands of simulated runs at once, on the engine's own arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from funcforge.engine.acceptances import betting
from funcforge.engine.acceptances.sequential import FEWEST_DRAWS, Sequential
from numpy.typing import NDArray

from benchmarks.acceptance.outcomes import Array, Outcomes

Rows = NDArray[np.intp]


@dataclass
class Step:
    """What one proposal led to in each run."""

    accepted: NDArray[np.bool_]
    candidate_episodes: Array
    incumbent_episodes: Array  # fresh ones


class Gate:
    """`Sequential` in each of many runs.

    Args:
        stored: Rounds of the first incumbent's outcomes that exist before the first step.
    """

    def __init__(
        self,
        policy: Sequential,
        model: Outcomes,
        incumbent: Array,
        rng: np.random.Generator,
        *,
        stored: int = 1,
        drift: float = 0.0,
    ) -> None:
        self.policy, self.model, self.rng = policy, model, rng
        self.truth = incumbent.copy()
        self.runs, self.tasks = incumbent.shape
        self.every = np.arange(self.runs)
        self.mu = self.grid(self.truth)
        self.incumbent = betting.IncumbentBets(nothing(incumbent), self.mu, policy.gain)
        self.kept = np.ones_like(self.mu)
        self.rejected = np.zeros(self.runs)
        self.held = np.zeros(self.runs, int)  # proposals that the incumbent has outlived
        self.drift = drift  # by which every fresh outcome of a candidate is luckier
        for _ in range(stored):
            self._round(self.every)

    @staticmethod
    def grid(truth: Array) -> Array:
        """Return the engine's grid near the true value; a minimum over it stays valid."""
        return np.clip(truth.mean(-1, keepdims=True) + np.arange(-0.15, 0.1501, 0.0075), 0.0, 1.0)

    def _round(self, rows: Rows) -> Array:
        outcomes = self.model.scores(self.rng, self.truth[rows])
        self.incumbent.settle(rows, outcomes)
        return outcomes

    def _stake(self) -> Array:
        left = np.maximum(self.policy.steps - self.rejected, 2)
        return np.minimum(0.5, 1.2 / left)[:, None]

    def step(self, candidate: Array) -> Step:
        """Decide on `candidate`, the true task means of one proposal per run."""
        policy, n = self.policy, self.tasks
        before = self.incumbent.rounds.copy()
        while len(short := self._short(self.every, 0)):
            self._round(short)
        bets = betting.CandidateBets(self.incumbent.seen, self.mu, policy.gain, policy.drift)
        drawn = self._draws(bets.chances)
        staked, level = self._stake(), np.log(1 / policy.alpha)
        against = self.incumbent.log_wealth(self.every)
        accepted = np.zeros(self.runs, bool)
        won = nothing(candidate)
        playing = self.every
        for draw in range(policy.longest):
            while len(short := self._short(playing, draw)):
                bets.learn(short, self._round(short))
                against[short] = self.incumbent.log_wealth(short)
            task = drawn[playing, draw]
            chance = np.minimum(candidate[playing, task] + self.drift, 1.0)
            outcome = self.model.scores(self.rng, chance)
            bets.settle(playing, task, outcome)
            won.add_draw(playing, task, outcome)
            bet = bets.log_wealth(playing)
            kept, share = self.kept[playing], staked[playing]
            wealth = betting.combined(against[playing], bet, kept, share)
            known = betting.known(self.incumbent.mean(playing), self.mu[playing], bet, kept, share)
            most = [policy.most_rounds(draw + 1, n, v) for v in bets.variance[playing].tolist()]
            while (waits := self._waits(playing, wealth, known, most)).any():
                rows = playing[waits]
                bets.learn(rows, self._round(rows))
                against[rows] = self.incumbent.log_wealth(rows)
                wealth[waits] = betting.combined(
                    against[rows], bet[waits], kept[waits], share[waits]
                )
            better = wealth >= level
            accepted[playing] |= better
            done = better
            if draw + 1 >= FEWEST_DRAWS:
                done = better | self._futile(bets, playing)
            playing = playing[~done]
            if not len(playing):
                break
        self._carry(bets, staked)
        rounds = self.incumbent.rounds - before
        self._accept(np.flatnonzero(accepted), candidate, won)
        return Step(accepted, bets.draws.copy(), rounds * n)

    def _waits(self, rows: Rows, wealth: Array, known: Array, most: list[int]) -> NDArray[np.bool_]:
        """Return which of `rows` wait for the incumbent alone."""
        level = np.log(1 / self.policy.alpha)
        waits: NDArray[np.bool_] = (wealth < level) & (known >= level)
        return waits & (self.incumbent.rounds[rows] < most)

    def _short(self, rows: Rows, draw: int) -> Rows:
        """Return the runs whose incumbent lacks a round before draw `draw`."""
        held, variance = self.held[rows], self.incumbent.seen.variance(rows)
        needed = [
            self.policy.rounds(draw, self.tasks, outlived, spread)
            for outlived, spread in zip(held.tolist(), variance.tolist(), strict=True)
        ]
        short: Rows = rows[self.incumbent.rounds[rows] < needed]
        return short

    def _draws(self, chances: Array) -> NDArray[np.intp]:
        points = self.rng.random((self.runs, self.policy.longest))
        edges = np.cumsum(chances, 1)
        edges /= edges[:, -1:]
        return np.stack([np.searchsorted(e, p) for e, p in zip(edges, points, strict=True)])

    def _futile(self, bets: betting.CandidateBets, rows: Rows) -> NDArray[np.bool_]:
        episodes = self.incumbent.rounds[rows] * self.tasks
        variance = bets.spread(rows) / bets.draws[rows] + bets.variance[rows] / episodes
        estimate = bets.mean(rows) - self.incumbent.mean(rows)
        return betting.futile(estimate, variance, bets.gain[rows], self.policy.miss)

    def _carry(self, bets: betting.CandidateBets, staked: Array) -> None:
        bet = np.exp(np.minimum(bets.log_wealth(self.every), betting.MOST_LOG_WEALTH))
        self.kept = np.minimum(self.kept * (1 - staked + staked * bet), 1e6)

    def _accept(self, rows: Rows, candidate: Array, won: betting.Seen) -> None:
        others = np.setdiff1d(self.every, rows)
        self.rejected[others] += 1
        self.held[others] += 1
        self.held[rows] = 0
        self.truth[rows] = candidate[rows]
        self.mu[rows] = self.grid(self.truth[rows])
        replace(self.incumbent, rows, won)
        steps, rejected = self.policy.steps, self.rejected[rows]
        left = np.maximum(1 - rejected / steps, 0.5 ** (rejected - steps + 2) / steps)
        self.kept[rows] = np.minimum(left, 1)[:, None]


def nothing(like: Array) -> betting.Seen:
    """Return that no outcome was seen, for task means of the shape (runs, tasks)."""
    return betting.Seen(np.zeros_like(like), np.zeros_like(like), np.zeros_like(like))


def replace(incumbent: betting.IncumbentBets, rows: Rows, won: betting.Seen) -> None:
    """Put the candidates of the runs `rows` in the incumbent's place, with what they won by."""
    old = incumbent.seen
    old.expected_within[rows] = old.within(rows)
    old.total[rows], old.squares[rows] = won.total[rows], won.squares[rows]
    old.count[rows] = won.count[rows]
    incumbent.rounds[rows] = incumbent.fresh_total[rows] = 0
    incumbent.wealths[rows] = 1
