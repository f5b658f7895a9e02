"""Climbs on promising versions and accepts the whole climb once it is beyond doubt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..acceptance import Evidence, Outcome, Verdict, Wave
from ..errors import ConfigError
from ..statistics import check_tasks
from .climbed import Mean, Past, sums
from .drawing import Draws, clipped, tasks_key
from .outcomes import Outcomes
from .spending import check_budget

if TYPE_CHECKING:
    from .betting import Array, CandidateBets, IncumbentBets

FEWEST_DRAWS = 6  # before a proposal is given up or found promising
GRID = 200  # steps of the nuisance parameter between 0 and 1
CONFIRM_MISS = 0.1  # chance to give up a true `gain` when a version is confirmed by itself
SCREENED = 4  # episodes of the screening at once, after the fewest: most proposals end early


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbing:
    """Build on what looks better at once; accept it when the gain over the start is proven.

    A proposal is compared with the version that it builds on until the outcomes speak `promote` to
    one for a true gain of `gain`, or 1 / `give_up` to one against it. One that looks better gets
    fresh episodes and, if it still does after `hold` of them, is *promising*: the next proposals
    build on it. Nothing is accepted by that. On its fresh episodes a gambler bets against
    "not better than the version in use", and once the wealth has multiplied by 1 / alpha the
    version, with all promising steps that led to it, is accepted. As evidence grows with the
    square of a gain, three steps of 7 points are proven together for less than one of them alone.

    The guarantee: until the first false acceptance in the use of one version, the chance that a
    version that is not better than it is accepted is at most alpha, whatever was proposed, however
    promising steps were chosen, for every wave size and way of stopping. It holds although other
    proposals are better: a bet that was won never pays for another version. After an acceptance it
    holds anew, at the share of alpha that lost bets left. The screening needs no guarantee and
    spends no alpha: its outcomes only say what is bet on, and are not bet on.

    It needs what `sequential` needs. Use `sequential` to find one gain of a known size for sure,
    this to get far with many proposals.

    Source: see `betting` for the test. Selecting on some episodes and testing on fresh ones: Cox
    (1975), "A note on data-splitting". The screening: Wald (1945), "Sequential tests of
    statistical hypotheses", on the normal approximation. Shares of the wealth: Ramdas, Grünwald,
    Vovk & Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference"; that
    won bets are capped, which keeps the product over the true nulls an upper bound, is ours.
    """

    alpha: float = 0.1  # the chance to accept anything that is not better
    gain: float = 0.12  # the true gain that screening and bets are made for
    promote: float = 3.0  # likelihood ratio at which a proposal gets fresh episodes
    give_up: float = 0.5  # likelihood ratio at which it is rolled back
    screen: int = 60  # most episodes of the screening
    hold: int = 120  # episodes that a promising version gets, and the version in use as well
    episodes: int = 250  # most fresh episodes to prove a version on
    ratio: float = 1.5  # episodes of the version in use per fresh episode
    stake: float = 0.25  # share of the wealth that is bet on one version
    wave: int = 16  # most episodes at once
    drift: float = 0.0  # how far the provider's mean may move by itself

    def __post_init__(self) -> None:
        check_budget(self.alpha, 1)
        for key, value, low, high in (
            ("gain", self.gain, 0.005, 1.0),
            ("promote", self.promote, 1.0, 1e6),
            ("give_up", self.give_up, 1e-6, 1.0),
            ("screen", self.screen, FEWEST_DRAWS, 1_000_000),
            ("hold", self.hold, FEWEST_DRAWS, 1_000_000),
            ("ratio", self.ratio, 0.5, 100.0),
            ("stake", self.stake, 0.01, 0.9),
            ("wave", self.wave, 1, 1_000_000),
            ("drift", self.drift, 0.0, 0.5),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{value!r} is not in [{low}, {high}]", key=f"acceptance.{key}")
        # a bet at most doubles the wealth
        fewest = math.ceil(math.log2(1 / (self.stake * self.alpha))) + 1
        if self.episodes < fewest:
            raise ConfigError(
                f"{self.episodes} episodes can never prove anything at alpha = {self.alpha}: at"
                f" least {fewest} are needed",
                key="acceptance.episodes",
            )

    def rounds(self, fresh: int, tasks: int) -> int:
        """Return the rounds of the version in use that are looked at before fresh draw `fresh`."""
        return math.ceil(max(self.hold, self.ratio * fresh) / tasks)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        check_tasks(evidence.tasks)
        tasks = evidence.tasks
        while len(tasks) >= 2:
            answer = _Climb(self, evidence, tasks).play()
            if not isinstance(answer, frozenset):
                return answer
            tasks = tuple(task for task in tasks if task not in answer)
        return Verdict(
            outcome="not_enough_evidence",
            reason=f"fewer than 2 of {len(evidence.tasks)} tasks have a score on both sides",
            incumbent_score=0.0,
            candidate_score=0.0,
            low=-1.0,
            high=1.0,
            episodes=sum(len(scores) for scores in evidence.candidate.values()),
        )


class _Climb:
    """One step played from its first draw with the outcomes there are: a pure replay."""

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
        self.won = np.zeros((1, len(tasks)))
        self.tried = np.zeros((1, len(tasks)))

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
                return self._verdict("not_better", bets, self._mean(bets), self._compared())
        return self._verdict("not_enough_evidence", bets, self._mean(bets), self._compared())

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
                return self._verdict("better", bets, mean, self._used(), wealth=wealth)
            if self._lost(bets, mean, draw):
                return self._verdict("not_better", bets, mean, self._compared(), wealth=wealth)
            if self._held(mean, wealth, level) and not self.evidence.confirm:
                break
        mean = self._mean(bets, screened)
        promising = not self.evidence.confirm and self._log_ratio(mean, self._compared(), bets) >= 0
        theirs = self._used() if promising else self._compared()
        return self._verdict(
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

        older = {
            task: self.evidence.incumbent.get(task, ())[: self.past.selected.get(task, 0)]
            for task in self.tasks
        }
        total, count = sums(older, self.tasks)
        head = {
            task: self.evidence.head.get(task, ())[: self.past.head_seen.get(task, 0)]
            for task in self.tasks
        }
        self.head_total, self.head_count = sums(head, self.tasks)
        incumbent = IncumbentBets(total, count, self.mu, self.policy.gain)
        for _ in range(rounds):
            self._settle_round(incumbent)
        return incumbent

    def _bets(self) -> CandidateBets:
        """Return bets whose first guesses use all that was seen so far."""
        from .betting import CandidateBets

        return CandidateBets(
            self.incumbent.total + self.head_total + self.won,
            self.incumbent.count + self.head_count + self.tried,
            self.mu,
            self.policy.gain,
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
        self.won[0, task] += outcome
        self.tried[0, task] += 1
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

    def _used(self) -> Mean:
        """Return the mean of the version in use."""
        episodes = float(self.incumbent.rounds[0]) * len(self.tasks)
        return Mean(float(self.incumbent.mean(self.row)[0]), episodes)

    def _compared(self) -> Mean:
        """Return the mean of the version that the candidate builds on."""
        return self.past.head if self.past.head and not self.evidence.confirm else self._used()

    def _gain(self, ours: Mean, theirs: Mean, bets: CandidateBets) -> tuple[float, float]:
        """Return the estimated gain and its variance, with the tasks held fixed."""
        within = float(bets.variance[0])
        return ours.value - theirs.value, within * (1 / ours.episodes + 1 / theirs.episodes)

    def _log_ratio(self, ours: Mean, theirs: Mean, bets: CandidateBets) -> float:
        """Return the log likelihood ratio of a true gain of `gain` to none."""
        estimate, variance = self._gain(ours, theirs, bets)
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
        hopeless = self.ours.hopeless(wanted) | self.theirs.hopeless(every)
        if hopeless:
            return hopeless
        return Wave(candidate=self.ours.missing(wanted), incumbent=self.theirs.missing(every))

    # -- answering ------------------------------------------------------------------------

    def _verdict(
        self,
        outcome: Outcome,
        bets: CandidateBets,
        ours: Mean,
        theirs: Mean,
        *,
        wealth: float | None = None,
        promising: bool = False,
    ) -> Verdict:
        estimate, variance = self._gain(ours, theirs, bets)
        half = 1.96 * math.sqrt(variance)
        between = float(bets.start[0].var()) / len(self.tasks)
        sides = [
            1.96 * math.sqrt(float(bets.variance[0]) / one.episodes + between)
            for one in (ours, theirs)
        ]
        evidence = self.evidence
        return Verdict(
            outcome=outcome,
            reason=self._reason(outcome, estimate, half, ours, promising),
            incumbent_score=clipped(theirs.value),
            candidate_score=clipped(ours.value),
            low=max(-1.0, estimate - half),
            high=min(1.0, estimate + half),
            incumbent_low=clipped(theirs.value - sides[1]),
            incumbent_high=clipped(theirs.value + sides[1]),
            candidate_low=clipped(ours.value - sides[0]),
            candidate_high=clipped(ours.value + sides[0]),
            p_value=None if wealth is None else min(1.0, math.exp(-wealth)),
            alpha=self.policy.alpha,
            episodes=sum(self._spent(task) for task in evidence.tasks),
            promising=promising,
            details=self._details(outcome, bets, ours, wealth, promising),
        )

    def _spent(self, task: str) -> int:
        ours = len(self.evidence.candidate.get(task, ()))
        if self.evidence.confirm:
            ours -= len(self.evidence.head.get(task, ()))
        # before the first step the version in use was run once
        theirs = len(self.evidence.incumbent.get(task, ())) - self.past.asked.get(task, 1)
        return ours + max(0, theirs)

    def _reason(
        self, outcome: Outcome, estimate: float, half: float, ours: Mean, promising: bool
    ) -> str:
        seen = (
            f"{100 * estimate:+.1f} ± {100 * half:.1f} points after {ours.episodes:.0f} episodes"
            f" on {len(self.tasks)} tasks"
        )
        left_out = len(self.evidence.tasks) - len(self.tasks)
        if left_out:
            seen += f" ({left_out} left out: their episodes failed)"
        if promising:
            return f"{seen}: promising, the next proposals build on it; not proven yet"
        return {
            "better": f"{seen}: an improvement",
            "not_better": f"{seen}: an improvement is implausible",
            "not_enough_evidence": f"{seen}: not enough evidence for going on with it",
        }[outcome]

    def _details(
        self,
        outcome: Outcome,
        bets: CandidateBets,
        ours: Mean,
        wealth: float | None,
        promising: bool,
    ) -> Mapping[str, Any]:
        evidence = self.evidence
        kept = self.kept[0]
        if wealth is not None:  # something was bet
            kept = self._settled(bets)
        asked = {t: len(evidence.incumbent.get(t, ())) for t in evidence.tasks}
        details: dict[str, Any] = {
            "tasks": len(self.tasks),
            "dropped": len(evidence.tasks) - len(self.tasks),
            "draws": int(ours.episodes),
            "proved_on": int(bets.draws[0]) if wealth is not None else 0,
            "rounds": int(self.incumbent.rounds[0]),
            "tasks_key": tasks_key(self.tasks),
            "asked": asked,
            "selected": dict(self.past.selected),
            # less wealth than there is is always safe: rounded down
            "wealth": [float(f"{value * (1 - 1e-4):.4g}") for value in kept],
            "head": [ours.value, ours.episodes] if promising else self.past.head_json,
            "head_seen": self._seen() if promising else dict(self.past.head_seen),
        }
        if outcome == "better":
            asked = {t: len(evidence.candidate.get(t, ())) for t in evidence.tasks}
            near = round(clipped(self._used().value) * GRID)
            details |= {"selected": self._seen(), "asked": asked, "rounds": 0, "head": None}
            # before this bet: what it won proves this version and nothing else
            details["wealth"] = [float(f"{self.kept[0][near] * (1 - 1e-4):.4g}")] * (GRID + 1)
        elif evidence.confirm:
            details["head"] = None
        return details

    def _seen(self) -> dict[str, int]:
        """Return how many of the candidate's outcomes were looked at: what is beyond is fresh."""
        return {task: self.ours.position(task, self.taken[task]) for task in self.tasks}

    def _settled(self, bets: CandidateBets) -> Array:
        """Return what the bet left, at most what was there: a won bet pays for no other version."""
        import numpy as np

        from .betting import MOST_LOG_WEALTH

        stake = self.policy.stake
        won = np.exp(np.minimum(bets.log_wealth(self.row)[0], MOST_LOG_WEALTH))
        left: Array = self.kept[0] * np.minimum(1.0, 1 - stake + stake * won)
        return left
