"""The climbing policy on thousands of simulated runs at once, on the engine's own arithmetic."""

from __future__ import annotations

import numpy as np
from funcforge.engine.acceptances import betting
from funcforge.engine.acceptances.ascent import (
    FEWEST_DRAWS,
    GOING_ON,
    LAST_FEWEST_DRAWS,
    LAST_GOING_ON,
    LAST_STAKE,
)
from funcforge.engine.acceptances.belief import (
    EXPECTED_DRAWS,
    Gains,
    Level,
    Screening,
    screened,
)
from funcforge.engine.acceptances.climbing import Climbing
from funcforge.engine.history import FEW
from numpy.typing import NDArray

from benchmarks.acceptance.gate import Gate, nothing, replace
from benchmarks.acceptance.outcomes import Array, Outcomes

Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]


class Climb:
    """`Climbing` in each of many runs, decided on the training tasks as in the paper.

    Episodes count as asked, by whole waves. A version that becomes promising or accepted is run on
    the tasks that it was not run on yet, as the engine does for the optimizer to read; a promising
    one's level learns by that.

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
        self.bought = np.zeros(self.runs)  # rounds of the version in use that are paid for
        zeros = np.zeros(self.runs)
        self.gains = Gains(policy.spread, zeros, zeros, zeros)
        self.base_level, self.level = Level.unknown(self.runs), Level.unknown(self.runs)
        self._buy(self.every, np.ones(self.runs))
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
        self._learn_from_history(rows)
        self._accept(np.flatnonzero(accepted), found.candidate)
        return accepted

    def confirm(self) -> Bools:
        """Put what is promising to the proof, as at the end of a run; return what is accepted."""
        self.candidate, self.won = self.head, nothing(self.head)
        rows, accepted = np.flatnonzero(self.building), np.zeros(self.runs, bool)
        believed = self.level.copy()
        if len(rows):
            self.prove(rows, believed, accepted, last=True)
        self._accept(np.flatnonzero(accepted), believed)
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

    def prove(self, rows: Rows, believed: Level, accepted: Bools, *, last: bool = False) -> None:
        """Put the candidates of the runs `rows` to the proof; `believed` and `accepted` learn."""
        fewest = LAST_FEWEST_DRAWS if last else FEWEST_DRAWS
        going_on, stake = (LAST_GOING_ON, LAST_STAKE) if last else (GOING_ON, self.policy.stake)
        policy, target = self.policy, np.log(1 / self.policy.alpha)
        bets = betting.CandidateBets(
            self.incumbent.seen + self.head_seen + self.won, self.mu, policy.gain, policy.drift
        )
        edges, start = np.cumsum(bets.chances, 1), believed.copy()
        asked, live = np.zeros(self.runs), rows
        for draw in range(policy.longest):
            waiting = live[asked[live] <= draw]
            more = min(policy.wave, policy.longest - draw)
            asked[waiting] += more
            self.spent[waiting] += more
            self._buy(waiting, np.full(len(waiting), policy.rounds(draw + more - 1, self.tasks)))
            while len(short := self._short(live, draw)):
                bets.learn(short, self._round(short))
            points = self.rng.random((len(live), 1)) * edges[live, -1:]
            task = np.minimum((edges[live] < points).sum(-1), self.tasks - 1)
            bets.settle(live, task, self._outcome(live, task))
            against, bet = self.incumbent.log_wealth(live), bets.log_wealth(live)
            wealth = betting.combined(against, bet, self.kept[live], stake)
            believed.put(live, start)
            believed.learn(live, bets.mean(live), bets.spread(live) / bets.draws[live])
            better = wealth >= target
            over = np.full(len(live), draw + 1 == policy.longest)
            if draw + 1 >= fewest:
                over |= ~self._worth(live, believed, going_on)
            accepted[live[better]] = True
            self._settle(bets, live[over & ~better], stake)
            live = live[~(better | over)]
            if not len(live):
                return

    def _short(self, rows: Rows, fresh: int) -> Rows:
        short: Rows = rows[self.incumbent.rounds[rows] < self.policy.rounds(fresh, self.tasks)]
        return short

    def _round(self, rows: Rows) -> Array:
        outcomes = self.model.scores(self.rng, self.base[rows])
        self.incumbent.settle(rows, outcomes)
        noise = self.incumbent.seen.variance(rows) / self.tasks
        self.base_level.learn(rows, outcomes.mean(-1), noise)
        self.level.put(rows[~self.building[rows]], self.base_level)
        return outcomes

    def _buy(self, rows: Rows, rounds: Array) -> None:
        """Pay for the rounds of the version in use up to so many."""
        more = np.maximum(rounds - self.bought[rows], 0)
        self.spent[rows] += more * self.tasks
        self.bought[rows] += more

    def _learn_from_history(self, rows: Rows) -> None:
        """Run promising versions on tasks that they were not run on yet, so that `FEW` are."""
        new = self.won.count[rows] == 0
        missing = np.maximum(FEW - (~new).sum(-1), 0)[:, None]
        shuffled = np.where(new, self.rng.random(new.shape), np.inf)
        unseen = new & (shuffled.argsort(-1).argsort(-1) < missing)
        rows, unseen = rows[unseen.any(-1)], unseen[unseen.any(-1)]
        if not len(rows):
            return
        number = unseen.sum(-1)
        self.spent[rows] += number
        outcomes = self.model.scores(self.rng, self.head[rows])
        seen = self.incumbent.seen + self.head_seen + self.won
        guess = seen.guesses(rows)[0]
        departure = np.where(unseen, outcomes - guess, 0.0)
        expected = np.maximum(seen.variance(rows), 0.0)
        squares = (departure**2).sum(-1) + EXPECTED_DRAWS * expected
        noise = squares / (number + EXPECTED_DRAWS) / number
        self.level.learn(rows, guess.mean(-1) + departure.sum(-1) / number, noise)

    def _settle(self, bets: betting.CandidateBets, rows: Rows, stake: float) -> None:
        won = np.exp(np.minimum(bets.log_wealth(rows), betting.MOST_LOG_WEALTH))
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
        # the history of what was accepted is a part of its first round
        self.bought[rows] = (self.won.count[rows] == 0).mean(-1)
        self.spent[rows] += self.bought[rows] * self.tasks
