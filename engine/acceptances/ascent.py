"""One step of a climb, played from its first draw with the outcomes there are."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from ..acceptance import Evidence, Outcome, Verdict, Wave
from .climbed import GRID, Ended, Mean, Past, verdict
from .drawing import Draws, first, seen
from .outcomes import Outcomes, asked

if TYPE_CHECKING:
    from .betting import Array, CandidateBets, IncumbentBets
    from .climbing import Climbing

FEWEST_DRAWS = 6  # before a proposal is given up or found promising
CONFIRM_MISS = 0.1  # chance to give up a true `gain` when a version is confirmed by itself
SCREENED = 4  # episodes of the screening at once, after the fewest: most proposals end early


class Ascent:
    """A pure replay: the same outcomes, the same answer, however they came in."""

    def __init__(self, policy: Climbing, evidence: Evidence, tasks: tuple[str, ...]) -> None:
        import numpy as np

        self.policy, self.evidence, self.tasks = policy, evidence, tasks
        self.past = past = Past.of(evidence, tasks)
        self.theirs = Outcomes(evidence.incumbent, tasks, past.selected)
        # a version that is confirmed by itself has outcomes of its own screening: not fresh
        skip = {t: len(evidence.head.get(t, ())) for t in tasks} if evidence.confirm else None
        self.ours = Outcomes(evidence.candidate, tasks, skip)
        self.mu = np.linspace(0.0, 1.0, GRID + 1)[None, :]
        self.kept = np.asarray(past.wealth or (past.share,) * (GRID + 1))[None, :]
        self.row = np.array([0])
        self.taken: Counter[str] = Counter()  # outcomes of the candidate that were looked at
        self.won = seen({}, tasks, past.within)

    def play(self) -> Wave | Verdict | frozenset[str]:
        """Return a wave, a verdict, or tasks that are to be left out."""
        rounds = max(self.policy.rounds(0, len(self.tasks)), self.past.rounds)
        lacking = self._lacking(rounds)
        if lacking is not None:
            return lacking
        self.incumbent = self._sit_down(rounds)
        screened = None if self.evidence.confirm else self._bets()
        if screened is not None and (answer := self._screen(screened)) is not None:
            return answer
        return self._prove(screened, self._bets())

    # -- the screening --------------------------------------------------------------------

    def _screen(self, bets: CandidateBets) -> Wave | Verdict | frozenset[str] | None:
        """Return None where the candidate is to be proven on fresh episodes."""
        draws = self._draws("screen", bets)
        for draw in range(self.policy.screen):
            if not self._settle(bets, draws.task(draw)):
                size = min(SCREENED if draw else FEWEST_DRAWS, self.policy.wave)
                end = min(draw + size, self.policy.screen)
                return self._wave(draws, draw, end, 0)
            if draw + 1 < FEWEST_DRAWS:
                continue
            ratio = self._log_ratio(self._mean(bets), self._compared(), bets)
            if ratio >= math.log(self.policy.promote):
                return None
            if ratio <= math.log(self.policy.give_up):
                return self._tell("not_better", bets, self._mean(bets), self._compared())
        return self._tell("not_enough_evidence", bets, self._mean(bets), self._compared())

    # -- the proof ------------------------------------------------------------------------

    def _prove(
        self, screened: CandidateBets | None, bets: CandidateBets
    ) -> Wave | Verdict | frozenset[str]:
        policy, level = self.policy, math.log(1 / self.policy.alpha)
        draws = self._draws("prove", bets)
        wealth = -math.inf
        for draw in range(policy.episodes):
            while self.incumbent.rounds[0] < policy.rounds(draw, len(self.tasks)):
                if self._lacking(int(self.incumbent.rounds[0]) + 1) is not None:
                    return self._proof_wave(draws, draw)
                bets.learn(self.row, self._settle_round(self.incumbent))
            if not self._settle(bets, draws.task(draw)):
                return self._proof_wave(draws, draw)
            wealth = self._wealth(bets)
            mean = self._mean(bets, screened)
            if wealth >= level:
                return self._tell("better", bets, mean, self.used(), wealth=wealth)
            if self._lost(bets, mean, draw):
                return self._tell("not_better", bets, mean, self._compared(), wealth=wealth)
            if self._held(mean, wealth, level) and not self.evidence.confirm:
                break
        mean = self._mean(bets, screened)
        promising = not self.evidence.confirm and self._log_ratio(mean, self._compared(), bets) >= 0
        theirs = self.used() if promising else self._compared()
        return self._tell(
            "not_enough_evidence", bets, mean, theirs, wealth=wealth, promising=promising
        )

    def _lost(self, bets: CandidateBets, mean: Mean, draw: int) -> bool:
        if draw + 1 < FEWEST_DRAWS:
            return False
        limit = CONFIRM_MISS if self.evidence.confirm else self.policy.give_up
        return self._log_ratio(mean, self._compared(), bets) <= math.log(limit)

    def _held(self, mean: Mean, wealth: float, level: float) -> bool:
        """Whether the version has its episodes and is not about to be proven."""
        return mean.episodes >= self.policy.hold and wealth < level / 2

    def _proof_wave(self, draws: Draws, draw: int) -> Wave | frozenset[str]:
        """Ask what is missing up to `hold` episodes, and then by small waves."""
        left = self.policy.hold - sum(self.taken.values())
        end = min(draw + min(self.policy.wave, max(left, SCREENED)), self.policy.episodes)
        return self._wave(draws, draw, end, self.policy.rounds(end - 1, len(self.tasks)))

    # -- playing --------------------------------------------------------------------------

    def _sit_down(self, rounds: int) -> IncumbentBets:

        from .betting import IncumbentBets

        evidence, past = self.evidence, self.past
        older = first(evidence.incumbent, past.selected)
        self.head = seen(first(evidence.head, past.head_seen), self.tasks, past.within)
        incumbent = IncumbentBets(seen(older, self.tasks, past.within), self.mu, self.policy.aim)
        for _ in range(rounds):
            self._settle_round(incumbent)
        return incumbent

    def _bets(self) -> CandidateBets:
        """Return bets whose first guesses use all that was seen so far."""
        from .betting import CandidateBets

        return CandidateBets(
            self.incumbent.seen + self.head + self.won,
            self.mu,
            self.policy.aim,
            self.policy.drift,
        )

    def _draws(self, part: str, bets: CandidateBets) -> Draws:
        evidence = self.evidence
        return Draws(f"{evidence.seed}/{evidence.step}/{part}", bets.chances[0].tolist())

    def _settle_round(self, incumbent: IncumbentBets) -> Array:
        import numpy as np

        number = int(incumbent.rounds[0])
        outcomes = np.array([[self.theirs.get(task, number) for task in self.tasks]], dtype=float)
        incumbent.settle(self.row, outcomes)
        return outcomes

    def _settle(self, bets: CandidateBets, task: int) -> bool:
        """Settle a draw; return False where its outcome is not there yet."""
        import numpy as np

        name = self.tasks[task]
        outcome = self.ours.get(name, self.taken[name])
        if outcome is None:
            return False
        bets.settle(self.row, np.array([task]), np.array([outcome]))
        self.taken[name] += 1
        self.won.add_draw(self.row, np.array([task]), np.array([outcome]))
        return True

    def _wealth(self, bets: CandidateBets) -> float:
        from .betting import combined

        against = self.incumbent.log_wealth(self.row)
        bet = bets.log_wealth(self.row)
        return float(combined(against, bet, self.kept, self.policy.stake)[0])

    # -- estimates ------------------------------------------------------------------------

    def _mean(self, bets: CandidateBets, earlier: CandidateBets | None = None) -> Mean:
        """Return the candidate's mean over all its draws of this step."""
        parts = [one for one in (earlier, bets) if one is not None and one.draws[0] > 0]
        episodes = sum(float(one.draws[0]) for one in parts)
        total = sum(float(one.draws[0]) * float(one.mean(self.row)[0]) for one in parts)
        return Mean(total / max(episodes, 1.0), max(episodes, 1.0))

    @property
    def within(self) -> float:
        """The share of the variance within tasks, as the version in use showed it."""
        return float(self.incumbent.seen.within(self.row)[0])

    def used(self) -> Mean:
        """Return the mean of the version in use."""
        episodes = float(self.incumbent.rounds[0]) * len(self.tasks)
        return Mean(float(self.incumbent.mean(self.row)[0]), episodes)

    def _compared(self) -> Mean:
        """Return the mean of the version that the candidate builds on."""
        return self.past.head if self.past.head and not self.evidence.confirm else self.used()

    def gain(self, ours: Mean, theirs: Mean, bets: CandidateBets) -> tuple[float, float]:
        """Return the estimated gain and its variance, with the tasks held fixed."""
        usual = float(bets.variance[0])
        changed = max(usual, self.policy.changed)
        return ours.value - theirs.value, changed / ours.episodes + usual / theirs.episodes

    def _log_ratio(self, ours: Mean, theirs: Mean, bets: CandidateBets) -> float:
        """Return the log likelihood ratio of a true gain of `gain` to none."""
        estimate, variance = self.gain(ours, theirs, bets)
        return self.policy.gain * (estimate - self.policy.gain / 2) / variance

    # -- asking ---------------------------------------------------------------------------

    def _lacking(self, rounds: int) -> Wave | frozenset[str] | None:
        wanted = dict.fromkeys(self.tasks, rounds)
        missing = self.theirs.missing(wanted)
        hopeless = self.theirs.hopeless(wanted)
        return hopeless or (Wave(candidate=(), incumbent=missing) if missing else None)

    def _wave(self, draws: Draws, draw: int, end: int, rounds: int) -> Wave | frozenset[str]:
        """Ask the candidate's outcomes of draws up to `end`, and the incumbent's up to `rounds`."""
        wanted = self.taken + Counter(self.tasks[draws.task(i)] for i in range(draw, end))
        every = dict.fromkeys(self.tasks, max(rounds, int(self.incumbent.rounds[0])))
        return asked(self.ours, wanted, self.theirs, every)

    def _tell(
        self,
        outcome: Outcome,
        bets: CandidateBets,
        ours: Mean,
        theirs: Mean,
        *,
        wealth: float | None = None,
        promising: bool = False,
    ) -> Verdict:
        ended = Ended(outcome, bets, ours, theirs, wealth, promising)
        return verdict(self, ended)
