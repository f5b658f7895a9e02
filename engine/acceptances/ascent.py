"""One step of a climb, played from its first draw with the outcomes there are."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..acceptance import Evidence, Outcome, Verdict, Wave
from .climbed import GRID, Ended, Past, verdict
from .drawing import Draws, first, seen
from .outcomes import Outcomes, asked

if TYPE_CHECKING:
    from .belief import Level, Screened
    from .betting import Array, CandidateBets, IncumbentBets, Seen
    from .climbing import Climbing

FEWEST_DRAWS = 8  # of a proof, before it may be given up
GOING_ON = 0.5  # share of the gain aimed at that must be believed in for a proof to go on
# the same at the end of a run, whatever is believed at first: there is no later chance
LAST_FEWEST_DRAWS, LAST_GOING_ON, LAST_STAKE = 24, 0.25, 0.9


class Ascent:
    """A pure replay: the same outcomes, the same answer, however they came in."""

    incumbent: IncumbentBets
    base: Level  # the mean of the version in use
    level: Level  # of the one that the candidate builds on; the same object where it is that one

    def __init__(self, policy: Climbing, evidence: Evidence, tasks: tuple[str, ...]) -> None:
        import numpy as np

        from .belief import Gains

        self.policy, self.evidence, self.tasks = policy, evidence, tasks
        self.past = past = Past.of(evidence, tasks)
        self.theirs = Outcomes(evidence.incumbent, tasks, past.selected)
        # a version that is confirmed by itself has outcomes of its own screening: not fresh
        skip = {t: len(evidence.head.get(t, ())) for t in tasks} if evidence.confirm else None
        self.ours = Outcomes(evidence.candidate, tasks, skip)
        self.mu = np.linspace(0.0, 1.0, GRID + 1)[None, :]
        self.kept = np.asarray(past.wealth or (past.share,) * (GRID + 1))[None, :]
        self.gains = Gains(policy.spread, *(np.array([one]) for one in past.gains))
        self.row = np.array([0])
        self.taken: Counter[str] = Counter()  # outcomes of the candidate that were looked at
        self.won = seen({}, tasks, past.within)

    def play(self) -> Wave | Verdict | frozenset[str]:
        """Return a wave, a verdict, or tasks that are to be left out."""
        # what is in use is known by its first round, or by what was accepted
        rounds = self.past.rounds if self.past.base else 1
        lacking = self._lacking(rounds)
        if lacking is not None:
            return lacking
        self._sit_down(rounds)
        if self.evidence.confirm:
            return self._prove(self.level.copy())
        found = self._screen()
        if isinstance(found, Wave | frozenset):
            return found
        promising = bool(found.gain[0] > self.policy.least)
        if promising and self._worth(found.candidate, 1.0):
            return self._prove(found.candidate)
        return self._tell(
            "not_enough_evidence" if promising else "not_better",
            found.candidate,
            promising=promising,
            variance=float(found.variance[0]),
        )

    # -- the screening --------------------------------------------------------------------

    def _screen(self) -> Wave | frozenset[str] | Screened:
        """Run the candidate a few times, on as many tasks as there are, in a seeded order."""
        from .belief import Screening, screened

        evidence, number = self.evidence, self.policy.screen
        shuffled = random.Random(f"{evidence.seed}/{evidence.step}/screen")  # noqa: S311 - a design
        tasks = shuffled.sample(range(len(self.tasks)), len(self.tasks))
        screening = Screening(self._seen(), self.gains)
        for draw in range(number):
            task = tasks[draw % len(tasks)]
            outcome = self._next(task)
            if outcome is None:
                end = min(draw + self.policy.wave, number)
                return self._wave((tasks[i % len(tasks)] for i in range(draw, end)), 0)
            screening.settle(self.row, *outcome)
        return screened(self.level, self.gains, screening)

    # -- the proof ------------------------------------------------------------------------

    def _prove(self, candidate: Level) -> Wave | Verdict | frozenset[str]:
        from .betting import CandidateBets

        policy, target = self.policy, math.log(1 / self.policy.alpha)
        bets = CandidateBets(self._seen(), self.mu, policy.gain, policy.drift)
        draws = Draws(f"{self.evidence.seed}/{self.evidence.step}/prove", bets.chances[0].tolist())
        wealth, believed, confirm = 0.0, candidate, self.evidence.confirm
        fewest = LAST_FEWEST_DRAWS if confirm else FEWEST_DRAWS
        going_on = LAST_GOING_ON if confirm else GOING_ON
        for draw in range(policy.longest):
            while self.incumbent.rounds[0] < policy.rounds(draw, len(self.tasks)):
                if self._lacking(int(self.incumbent.rounds[0]) + 1) is not None:
                    return self._proof_wave(draws, draw)
                bets.learn(self.row, self._settle_round())
            outcome = self._next(draws.task(draw))
            if outcome is None:
                return self._proof_wave(draws, draw)
            bets.settle(self.row, *outcome)
            wealth, believed = self._wealth(bets), candidate.copy()
            believed.learn(self.row, bets.mean(self.row), bets.spread(self.row) / bets.draws)
            if wealth >= target:
                return self._tell("better", believed, bets=bets, wealth=wealth)
            if draw + 1 >= fewest and not self._worth(believed, going_on):
                break
        gain = believed.mean[0] - (self.base if confirm else self.level).mean[0]
        better = bool(gain > self.policy.least)
        promising = better and not confirm
        return self._tell(
            "not_enough_evidence" if better else "not_better",
            believed,
            promising=promising,
            bets=bets,
            wealth=wealth,
        )

    def _worth(self, candidate: Level, share: float) -> bool:
        """Whether so much of the gain aimed at is believed in that it can be proven."""
        from .betting import aimed

        aim = aimed(self.policy.gain, self.incumbent.seen.variance(self.row))
        return bool(candidate.mean[0] - self.base.mean[0] >= share * aim[0])

    def _proof_wave(self, draws: Draws, draw: int) -> Wave | frozenset[str]:
        end = min(draw + self.policy.wave, self.policy.longest)
        rounds = self.policy.rounds(end - 1, len(self.tasks))
        return self._wave((draws.task(i) for i in range(draw, end)), rounds)

    # -- playing --------------------------------------------------------------------------

    def _sit_down(self, rounds: int) -> None:
        """Take up what is known, and play the rounds of the version in use."""
        from .belief import Level
        from .betting import IncumbentBets

        evidence, past = self.evidence, self.past
        older = first(evidence.incumbent, past.selected)
        self.head = seen(first(evidence.head, past.head_seen), self.tasks, past.within)
        start = seen(older, self.tasks, past.within)
        self.incumbent = IncumbentBets(start, self.mu, self.policy.gain)
        self.base = past.base.level() if past.base else Level.unknown(1)
        for _ in range(rounds):
            self._settle_round(learn=past.base is None)
        self.level = self.base
        if past.head:
            self.level = past.head.level()
            self._learn_from_its_history()

    def _learn_from_its_history(self) -> None:
        """Take in what the promising version did since: it was run to be learned from."""
        from .belief import Screening

        known, since = self.past.head_asked, Screening(self._seen(), self.gains)
        for task, name in enumerate(self.tasks):
            for outcome in self.evidence.head.get(name, ())[known.get(name, 0) :]:
                if outcome is not None:
                    since.settle(self.row, *_one(task, outcome))
        if since.draws[0]:
            self.level.learn(self.row, *since.estimate())

    def _seen(self) -> Seen:
        """Return all outcomes that guesses of the candidate's may use."""
        return self.incumbent.seen + self.head + self.won

    def _settle_round(self, *, learn: bool = True) -> Array:
        import numpy as np

        number = int(self.incumbent.rounds[0])
        outcomes = np.array([[self.theirs.get(task, number) for task in self.tasks]], dtype=float)
        self.incumbent.settle(self.row, outcomes)
        if learn:
            noise = self.incumbent.seen.variance(self.row) / len(self.tasks)
            self.base.learn(self.row, outcomes.mean(-1), noise)
        return outcomes

    def _next(self, task: int) -> tuple[Array, Array] | None:
        """Take the next outcome of a task; None where it is not there yet."""
        name = self.tasks[task]
        outcome = self.ours.get(name, self.taken[name])
        if outcome is None:
            return None
        self.taken[name] += 1
        taken = _one(task, outcome)
        self.won.add_draw(self.row, *taken)
        return taken

    def _wealth(self, bets: CandidateBets) -> float:
        from .betting import combined

        against = self.incumbent.log_wealth(self.row)
        bet = bets.log_wealth(self.row)
        return float(combined(against, bet, self.kept, self.stake)[0])

    @property
    def stake(self) -> float:
        """The share of the wealth that is bet: at the end of a run there is nothing to save for."""
        return LAST_STAKE if self.evidence.confirm else self.policy.stake

    @property
    def within(self) -> float:
        """The share of the variance within tasks, as the version in use showed it."""
        return float(self.incumbent.seen.within(self.row)[0])

    @property
    def between(self) -> float:
        """The variance of a mean over tasks like these, of which these are a sample."""
        guess = self._seen().guesses(self.row)[0]
        return float(guess.var()) / len(self.tasks)

    # -- asking ---------------------------------------------------------------------------

    def _lacking(self, rounds: int) -> Wave | frozenset[str] | None:
        wanted = dict.fromkeys(self.tasks, rounds)
        missing = self.theirs.missing(wanted)
        hopeless = self.theirs.hopeless(wanted)
        return hopeless or (Wave(candidate=(), incumbent=missing) if missing else None)

    def _wave(self, tasks: Iterable[int], rounds: int) -> Wave | frozenset[str]:
        """Ask the candidate's next outcomes on `tasks`, and the incumbent's up to `rounds`."""
        wanted = self.taken + Counter(self.tasks[task] for task in tasks)
        every = dict.fromkeys(self.tasks, max(rounds, int(self.incumbent.rounds[0])))
        return asked(self.ours, wanted, self.theirs, every)

    def _tell(
        self,
        outcome: Outcome,
        candidate: Level,
        *,
        promising: bool = False,
        variance: float | None = None,
        bets: CandidateBets | None = None,
        wealth: float | None = None,
    ) -> Verdict:
        # what goes on or ends the climb is measured from the version in use
        rolled_back = outcome == "not_better" and not self.evidence.confirm
        theirs = self.level if rolled_back else self.base
        same = theirs is self.level
        apart = float(candidate.variance[0] + theirs.variance[0])
        return verdict(
            self,
            Ended(
                outcome=outcome,
                ours=candidate,
                theirs=theirs,
                variance=variance if variance is not None and same else apart,
                bets=bets,
                wealth=wealth,
                promising=promising,
            ),
        )


def _one(task: int, outcome: float) -> tuple[Array, Array]:
    """Return an outcome as arrays of one run take it."""
    import numpy as np

    return np.array([task]), np.array([outcome])
