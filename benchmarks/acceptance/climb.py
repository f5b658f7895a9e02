"""The climbing policy on thousands of simulated runs at once, on the engine's own arithmetic."""

from __future__ import annotations

import numpy as np
from funcforge.engine.acceptances import betting
from funcforge.engine.acceptances.ascent import FEWEST_DRAWS, GOING_ON
from funcforge.engine.acceptances.belief import Gains, Level, Screening, screened
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
        drift: By which every outcome of a candidate is luckier.
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
        self.policy, self.model, self.rng, self.drift = policy, model, rng, drift
        self.base, self.head = truth.copy(), truth.copy()
        self.runs, self.tasks = truth.shape
        self.every = np.arange(self.runs)
        self.mu = Gate.grid(truth)
        self.incumbent = betting.IncumbentBets(nothing(truth), self.mu, policy.gain)
        self.kept = np.ones_like(self.mu)
        self.building = np.zeros(self.runs, bool)  # on a promising version
        self.head_seen = nothing(truth)
        self.spent = np.zeros(self.runs)
        zeros = np.zeros(self.runs)
        self.gains = Gains(policy.spread, zeros, zeros, zeros)
        self.base_level, self.level = Level.unknown(self.runs), Level.unknown(self.runs)
        self._round(self.every)

    @property
    def truth(self) -> Array:
        """True task means of the version in use."""
        return self.base

    def step(self, candidate: Array) -> Bools:
        """Decide on one proposal per run; return which runs accepted."""
        self.candidate = candidate
        self.won = nothing(candidate)
        screening = self._screen()
        found = screened(self.level, self.gains, screening)
        alone = self.every[~self.building]
        self.base_level.put(alone, self.level)
        promising, accepted = found.gain > self.policy.least, np.zeros(self.runs, bool)
        proven = np.flatnonzero(promising & self._worth(self.every, found.candidate, 1.0))
        if len(proven):
            self.prove(proven, found.candidate, accepted)
            gain = found.candidate.mean[proven] - self.level.mean[proven]
            promising[proven] = gain > self.policy.least
        rows = np.flatnonzero(promising & ~accepted)
        self.head[rows], self.building[rows] = candidate[rows], True
        self.level.put(rows, found.candidate)
        self._remember(rows, self.won)
        self._accept(np.flatnonzero(accepted), found.candidate)
        return accepted

    def _screen(self) -> Screening:
        seen = self.incumbent.seen + self.head_seen
        screening = Screening(seen, self.gains)
        order = self.rng.permuted(np.tile(np.arange(self.tasks), (self.runs, 1)), axis=1)
        for draw in range(self.policy.screen):
            task = order[:, draw % self.tasks]
            screening.settle(self.every, task, self._outcome(self.every, task))
        self.spent += self.policy.screen
        return screening

    def _outcome(self, rows: Rows, task: Rows) -> Array:
        chance = np.minimum(self.candidate[rows, task] + self.drift, 1.0)
        outcome = self.model.scores(self.rng, chance)
        self.won.add_draw(rows, task, outcome)
        return outcome

    def _worth(self, rows: Rows, candidate: Level, share: float) -> Bools:
        aim = betting.aimed(self.policy.gain, self.incumbent.seen.variance(rows))
        worth: Bools = candidate.mean[rows] - self.base_level.mean[rows] >= share * aim
        return worth

    def prove(self, rows: Rows, believed: Level, accepted: Bools) -> None:
        """Put the candidates of the runs `rows` to the proof; `believed` and `accepted` learn."""
        policy, target = self.policy, np.log(1 / self.policy.alpha)
        bets = betting.CandidateBets(
            self.incumbent.seen + self.head_seen + self.won, self.mu, policy.gain, policy.drift
        )
        edges, start = np.cumsum(bets.chances, 1), believed.copy()
        asked, live = np.zeros(self.runs), rows
        for draw in range(policy.longest):
            while len(short := self._short(live, draw)):
                bets.learn(short, self._round(short))
            waiting = live[asked[live] <= draw]
            asked[waiting] += policy.wave
            self.spent[waiting] += policy.wave
            points = self.rng.random((len(live), 1)) * edges[live, -1:]
            task = np.minimum((edges[live] < points).sum(-1), self.tasks - 1)
            bets.settle(live, task, self._outcome(live, task))
            against, bet = self.incumbent.log_wealth(live), bets.log_wealth(live)
            wealth = betting.combined(against, bet, self.kept[live], policy.stake)
            believed.put(live, start)
            believed.learn(live, bets.mean(live), bets.spread(live) / bets.draws[live])
            better = wealth >= target
            over = np.full(len(live), draw + 1 == policy.longest)
            if draw + 1 >= FEWEST_DRAWS:
                over |= ~self._worth(live, believed, GOING_ON)
            accepted[live[better]] = True
            self._settle(bets, live[over & ~better])
            live = live[~(better | over)]
            if not len(live):
                return

    def _short(self, rows: Rows, fresh: int) -> Rows:
        short: Rows = rows[self.incumbent.rounds[rows] < self.policy.rounds(fresh, self.tasks)]
        return short

    def _round(self, rows: Rows) -> Array:
        outcomes = self.model.scores(self.rng, self.base[rows])
        self.incumbent.settle(rows, outcomes)
        self.spent[rows] += self.tasks
        noise = self.incumbent.seen.variance(rows) / self.tasks
        self.base_level.learn(rows, outcomes.mean(-1), noise)
        self.level.put(rows[~self.building[rows]], self.base_level)
        return outcomes

    def _settle(self, bets: betting.CandidateBets, rows: Rows) -> None:
        won = np.exp(np.minimum(bets.log_wealth(rows), betting.MOST_LOG_WEALTH))
        stake = self.policy.stake
        self.kept[rows] *= np.minimum(1.0, 1 - stake + stake * won)

    def _remember(self, rows: Rows, seen: betting.Seen) -> None:
        for name in ("total", "squares", "count"):
            getattr(self.head_seen, name)[rows] = getattr(seen, name)[rows]

    def _accept(self, rows: Rows, believed: Level) -> None:
        old = self.incumbent
        near = np.abs(self.mu[rows] - old.mean(rows)[:, None]).argmin(-1)
        self.kept[rows] = self.kept[rows, near][:, None]
        self.base[rows] = self.head[rows] = self.candidate[rows]
        self.mu[rows] = Gate.grid(self.base[rows])
        self.building[rows] = False
        self.base_level.put(rows, believed)
        self.level.put(rows, believed)
        self._remember(rows, nothing(self.base))
        replace(old, rows, self.won)
