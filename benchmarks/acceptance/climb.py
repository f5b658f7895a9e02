"""The climbing policy on thousands of simulated runs at once, on the engine's own arithmetic."""

from __future__ import annotations

import numpy as np
from funcforge.engine.acceptances import betting
from funcforge.engine.acceptances.ascent import FEWEST_DRAWS, SCREENED
from funcforge.engine.acceptances.climbing import Climbing
from numpy.typing import NDArray

from benchmarks.acceptance.gate import Gate, nothing, replace
from benchmarks.acceptance.outcomes import Array, Outcomes

Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]


class Climb:
    """`Climbing` in each of many runs. Episodes count as asked, by whole waves.

    Args:
        truth: True task means of the first version in use, (runs, tasks).
    """

    def __init__(
        self,
        policy: Climbing,
        model: Outcomes,
        truth: Array,
        rng: np.random.Generator,
        *,
        drift: float = 0.0,
    ) -> None:
        self.policy, self.model, self.rng = policy, model, rng
        self.base, self.head = truth.copy(), truth.copy()
        self.runs, self.tasks = truth.shape
        self.every = np.arange(self.runs)
        self.mu = Gate.grid(truth)
        self.incumbent = betting.IncumbentBets(nothing(truth), self.mu, policy.aim)
        self.kept = np.ones_like(self.mu)
        self.promising = np.zeros(self.runs, bool)
        self.head_mean, self.head_episodes = np.zeros(self.runs), np.zeros(self.runs)
        self.head_seen = nothing(truth)
        self.spent = np.zeros(self.runs)
        self.drift = drift  # by which every outcome of a candidate is luckier

    def step(self, candidate: Array) -> Bools:
        """Decide on one proposal per run; return which runs accepted."""
        self._rounds(self.every, 0)
        self.candidate = candidate
        self.won = nothing(candidate)
        self.compared = (
            np.where(self.promising, self.head_mean, self.incumbent.mean(self.every)),
            np.where(self.promising, self.head_episodes, self.incumbent.rounds * self.tasks),
        )
        screened = self._bets()
        rows = self._screen(screened)
        accepted = np.zeros(self.runs, bool)
        if len(rows):
            self._prove(rows, screened, accepted)
        return accepted

    @property
    def truth(self) -> Array:
        """True task means of the version in use."""
        return self.base

    def _rounds(self, rows: Rows, fresh: int) -> None:
        needed = self.policy.rounds(fresh, self.tasks)
        while len(short := rows[self.incumbent.rounds[rows] < needed]):
            self.incumbent.settle(short, self.model.scores(self.rng, self.base[short]))
            self.spent[short] += self.tasks

    def _bets(self) -> betting.CandidateBets:
        return betting.CandidateBets(
            self.incumbent.seen + self.head_seen + self.won,
            self.mu,
            self.policy.aim,
            self.policy.drift,
        )

    def _draw(self, bets: betting.CandidateBets, edges: Array, rows: Rows) -> None:
        points = self.rng.random((len(rows), 1)) * edges[rows, -1:]
        task = np.minimum((edges[rows] < points).sum(-1), self.tasks - 1)
        chance = np.minimum(self.candidate[rows, task] + self.drift, 1.0)
        outcome = self.model.scores(self.rng, chance)
        bets.settle(rows, task, outcome)
        self.won.add_draw(rows, task, outcome)

    def _log_ratio(self, rows: Rows, mean: Array, episodes: Array, variance: Array) -> Array:
        theirs, number = self.compared[0][rows], self.compared[1][rows]
        gain = self.policy.gain
        spread = np.maximum(variance, self.policy.changed) / episodes + variance / number
        ratio: Array = gain * (mean - theirs - gain / 2) / spread
        return ratio

    def _screen(self, bets: betting.CandidateBets) -> Rows:
        """Return the runs whose candidate is to be proven."""
        policy, edges = self.policy, np.cumsum(bets.chances, 1)
        live, passed = self.every, [self.every[:0]]
        self.asked = np.zeros(self.runs)
        for draw in range(policy.screen):
            if draw == self.asked[live[0]]:
                size = min(SCREENED if draw else FEWEST_DRAWS, policy.wave)
                self.asked[live] += min(size, policy.screen - draw)
            self._draw(bets, edges, live)
            if draw + 1 < FEWEST_DRAWS:
                continue
            ratio = self._log_ratio(live, bets.mean(live), bets.draws[live], bets.variance[live])
            up, down = ratio >= np.log(policy.promote), ratio <= np.log(policy.give_up)
            passed.append(live[up])
            live = live[~(up | down)]
            if not len(live):
                break
        rows = np.concatenate(passed)
        self.spent += self.asked
        # what was asked and not looked at is fresh, and looked at now
        self.spare = self.asked - bets.draws
        return rows

    def _prove(self, rows: Rows, screened: betting.CandidateBets, accepted: Bools) -> None:
        policy, bets = self.policy, self._bets()
        edges, level = np.cumsum(bets.chances, 1), np.log(1 / policy.alpha)
        asked = np.maximum(self.spare, 0.0)
        live, held = rows, np.zeros(self.runs, bool)
        for draw in range(policy.episodes):
            self._rounds(live, draw)
            short = live[asked[live] <= draw]
            left = policy.hold - self.won.count[short].sum(-1)
            more = np.minimum(policy.wave, np.maximum(left, SCREENED))
            asked[short] += more
            self.spent[short] += more
            self._draw(bets, edges, live)
            against, bet = self.incumbent.log_wealth(live), bets.log_wealth(live)
            wealth = betting.combined(against, bet, self.kept[live], policy.stake)
            episodes = self.won.count[live].sum(-1)
            parts = [one.mean(live) * one.draws[live] for one in (screened, bets)]
            mean = (parts[0] + parts[1]) / episodes
            ratio = self._log_ratio(live, mean, episodes, bets.variance[live])
            better = wealth >= level
            lost = (draw + 1 >= FEWEST_DRAWS) & (ratio <= np.log(policy.give_up)) & ~better
            enough = (episodes >= policy.hold) & (wealth < level / 2)
            enough |= draw + 1 == policy.episodes
            keep = enough & ~better & ~lost & (ratio >= 0)
            accepted[live[better]] = held[live[keep]] = True
            self.head_mean[live[keep]], self.head_episodes[live[keep]] = mean[keep], episodes[keep]
            self._settle(bets, live[(lost | enough) & ~better])
            live = live[~(better | lost | enough)]
            if not len(live):
                break
        self._build_on(np.flatnonzero(held))
        self._accept(np.flatnonzero(accepted))

    def _settle(self, bets: betting.CandidateBets, rows: Rows) -> None:
        won = np.exp(np.minimum(bets.log_wealth(rows), betting.MOST_LOG_WEALTH))
        stake = self.policy.stake
        self.kept[rows] *= np.minimum(1.0, 1 - stake + stake * won)

    def _build_on(self, rows: Rows) -> None:
        self.head[rows], self.promising[rows] = self.candidate[rows], True
        self._remember(rows, self.won)

    def _remember(self, rows: Rows, seen: betting.Seen) -> None:
        for name in ("total", "squares", "count"):
            getattr(self.head_seen, name)[rows] = getattr(seen, name)[rows]

    def _accept(self, rows: Rows) -> None:
        old = self.incumbent
        near = np.abs(self.mu[rows] - old.mean(rows)[:, None]).argmin(-1)
        self.kept[rows] = self.kept[rows, near][:, None]
        self.base[rows] = self.head[rows] = self.candidate[rows]
        self.mu[rows] = Gate.grid(self.base[rows])
        self.promising[rows] = False
        self._remember(rows, nothing(self.base))
        replace(old, rows, self.won)
