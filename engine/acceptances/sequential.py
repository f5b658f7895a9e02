"""The default for real runs: a sequential test whose guarantee is about the whole run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..acceptance import Evidence, Outcome, Verdict, Wave
from ..errors import ConfigError
from ..statistics import check_tasks
from .drawing import WITHIN, Draws, clipped, first, seen, tasks_key, told
from .outcomes import Outcomes, asked
from .spending import check_budget, stake, unspent

if TYPE_CHECKING:
    from .betting import Array, CandidateBets, IncumbentBets

FEWEST_DRAWS = 10  # before futility is judged
FIRST_WAVE = 24  # candidate episodes: many proposals are futile by then
SMALLEST_WAVE = 16  # later ones: each waits for its slowest episode
GRID = 200  # steps of the nuisance parameter between 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """Accept once a gambler against "not better" has multiplied the run's wealth by 1 / alpha.

    What `sequential` does with climb = false, and where the tasks differ from step to step: each
    proposal is tested by itself. For one gain of a known size; `Climbing` gets further.

    The guarantee, for every number of tasks, every wave size and every way of stopping: in a run
    without any true improvement, the chance that a proposal is accepted is at most `alpha`. After
    an acceptance, or when failures leave tasks out, the same holds anew for the rest of the run,
    at the share of `alpha` that the rejected proposals left. An improvement is a higher mean over
    these tasks; single ones may get worse.

    It needs: outcomes independent given the versions, or positively associated between the two
    sides as with shared episode seeds; failures that do not depend on the score; a provider
    whose mean moves by at most `drift` while an incumbent is in use. The proposal may depend on
    everything that was seen before.

    The episodes of a step are drawn, with known chances, in an order that the run's seed fixes.
    The outcomes are looked at one by one in that order, so that neither the size of the waves nor
    concurrency can change a decision: they only change what is spent beyond it (and, where tasks
    keep failing, which of them are found to). The incumbent keeps its outcomes. It gets at least
    2.5 / gain ** 2 episodes, fewer where outcomes hardly vary; twice as many as the longest step,
    more the more proposals it has outlived; and up to `ratio` times as many where they alone keep
    a proposal from being accepted. Those that won its own acceptance serve as guesses only: its
    score is re-estimated on fresh ones. Where outcomes hardly vary, smaller gains are looked for.

    Source: see `betting` for the test. The wealth of one gambler over all steps: Ramdas, Grünwald,
    Vovk & Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference".
    """

    alpha: float = 0.1  # the chance that a run accepts anything that is not better
    steps: int = 10  # planned proposals of the run; more are possible at ever smaller stakes
    gain: float = 0.1  # the true gain that is worth finding; smaller ones take gain ** -2 episodes
    miss: float = 0.1  # chance to give up a true `gain` as futile
    episodes: int = 0  # most candidate episodes of a step; 0: enough for `gain`, 4 / gain ** 2
    wave: int = 64  # most candidate episodes at once
    ratio: float = 4.0  # most episodes of the incumbent per candidate episode of the longest step
    drift: float = 0.0  # how far the provider's mean may move by itself
    sampled: bool = False  # every step decides on other tasks: the budget is split beforehand

    def __post_init__(self) -> None:
        check_budget(self.alpha, self.steps)
        for key, value, low, high in (
            ("gain", self.gain, 0.005, 1.0),
            ("miss", self.miss, 1e-6, 0.5),
            ("drift", self.drift, 0.0, 0.5),
            ("ratio", self.ratio, 0.5, 100.0),
            ("wave", self.wave, 1, 1_000_000),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{value!r} is not in [{low}, {high}]", key=f"acceptance.{key}")
        # a bet at most doubles the wealth
        fewest = math.ceil(math.log2(self.steps / (1.2 * self.alpha))) + 1
        if self.longest < fewest:
            raise ConfigError(
                f"{self.longest} episodes a step can never decide at alpha = {self.alpha} over"
                f" {self.steps} steps: at least {fewest} are needed",
                key="acceptance.episodes",
            )

    @property
    def longest(self) -> int:
        """The most candidate episodes that a step takes."""
        return self.episodes or math.ceil(4 / self.gain**2)

    def rounds(self, draw: int, tasks: int, held: int, variance: float) -> int:
        """Return the rounds of the incumbent that must have been looked at before draw `draw`.

        Repeats of the incumbent are paid once and used by every later step until it is replaced:
        the more proposals it has outlived (`held`), the more of them it is worth.

        Args:
            variance: Of an outcome about its guess.
        """
        unsure = _unsure(variance)
        ratio = min(self.ratio, 1 + unsure + held / 2)
        return math.ceil(max(unsure * 2.5 / self.gain**2, ratio * draw) / tasks)

    def most_rounds(self, draws: int, tasks: int, variance: float) -> int:
        """Return the rounds that the incumbent gets where it alone keeps a candidate waiting."""
        ratio = self.ratio * (1 + _unsure(variance)) / 2
        return math.ceil(ratio * max(draws, FIRST_WAVE) / tasks)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        check_tasks(evidence.tasks)
        tasks = evidence.tasks
        while len(tasks) >= 2:
            hand = _Hand(self, evidence, tasks)
            answer = hand.play()
            if not isinstance(answer, frozenset):
                return answer
            tasks = tuple(task for task in tasks if task not in answer)
        reason = f"fewer than 2 of {len(evidence.tasks)} tasks have a score on both sides"
        return _undecided(evidence, reason)


class _Hand:
    """One step played from its first draw with the outcomes there are: a pure replay."""

    def __init__(self, policy: Sequential, evidence: Evidence, tasks: tuple[str, ...]) -> None:
        import numpy as np

        self.policy, self.evidence, self.tasks = policy, evidence, tasks
        past = _Past.of(evidence, tasks, policy)
        self.past = past
        self.theirs = Outcomes(evidence.incumbent, tasks, past.selected)
        self.ours = Outcomes(evidence.candidate, tasks)
        self.mu = np.linspace(0.0, 1.0, GRID + 1)[None, :]
        self.kept = np.asarray(past.wealth)[None, :] if past.wealth else np.ones((1, GRID + 1))
        self.kept = self.kept * past.share
        self.row = np.array([0])
        self.taken: Counter[str] = Counter()

    def play(self) -> Wave | Verdict | frozenset[str]:
        """Return a wave, a verdict, or tasks that are to be left out."""
        incumbent = self._sit_down()
        while incumbent.rounds[0] < (needed := self._rounds()):
            lacking = self._lacking_round(incumbent, needed)
            if lacking is not None:
                return lacking
            self._settle_round(incumbent)
        candidate = self._bets(incumbent)
        level = math.log(1 / self.policy.alpha)
        wealth = -math.inf
        for draw in range(self.policy.longest):
            while incumbent.rounds[0] < self._rounds(draw):
                if self._lacking_round(incumbent) is not None:
                    return self._wave(incumbent, candidate, draw, wealth)
                candidate.learn(self.row, self._settle_round(incumbent))
            task = self.draws.task(draw)
            outcome = self.ours.get(self.tasks[task], self.taken[self.tasks[task]])
            if outcome is None:
                return self._wave(incumbent, candidate, draw, wealth)
            self._settle_draw(candidate, task, outcome)
            wealth = self._wealth(candidate)
            while wealth < level and self._waits(incumbent, candidate, level):
                lacking = self._lacking_round(incumbent)
                if lacking is not None:
                    return lacking
                candidate.learn(self.row, self._settle_round(incumbent))
                wealth = self._wealth(candidate)
            if wealth >= level:
                return self._verdict("better", incumbent, candidate, wealth)
            if draw + 1 >= FEWEST_DRAWS and self._futile(incumbent, candidate):
                return self._verdict("not_better", incumbent, candidate, wealth)
        return self._verdict("not_enough_evidence", incumbent, candidate, wealth)

    # -- playing --------------------------------------------------------------------------

    def _sit_down(self) -> IncumbentBets:
        """Settle the rounds that earlier steps looked at."""
        from .betting import IncumbentBets

        won = first(self.evidence.incumbent, self.past.selected)
        older = seen(won, self.tasks, self.past.within)
        incumbent = IncumbentBets(older, self.mu, self.policy.gain)
        self.variance = float(older.variance(self.row)[0])  # of an outcome about its guess
        for _ in range(self.past.rounds):
            self._settle_round(incumbent)
        return incumbent

    def _bets(self, incumbent: IncumbentBets) -> CandidateBets:
        from .betting import CandidateBets

        candidate = CandidateBets(incumbent.seen, self.mu, self.policy.gain, self.policy.drift)
        seed = f"{self.evidence.seed}/{self.evidence.step}"
        self.draws = Draws(seed, candidate.chances[0].tolist())
        return candidate

    def _settle_round(self, incumbent: IncumbentBets) -> Array:
        import numpy as np

        number = int(incumbent.rounds[0])
        outcomes = np.array([[self.theirs.get(task, number) for task in self.tasks]], dtype=float)
        incumbent.settle(self.row, outcomes)
        self.incumbent_wealth = incumbent.log_wealth(self.row)
        self.variance = float(incumbent.seen.variance(self.row)[0])
        return outcomes

    def _settle_draw(self, candidate: CandidateBets, task: int, outcome: float) -> None:
        import numpy as np

        candidate.settle(self.row, np.array([task]), np.array([outcome]))
        self.taken[self.tasks[task]] += 1

    def _rounds(self, draw: int = 0) -> int:
        return self.policy.rounds(draw, len(self.tasks), self.past.held, self.variance)

    def _wealth(self, candidate: CandidateBets) -> float:
        from .betting import combined

        bet = candidate.log_wealth(self.row)
        return float(combined(self.incumbent_wealth, bet, self.kept, self.past.staked)[0])

    def _waits(self, incumbent: IncumbentBets, candidate: CandidateBets, level: float) -> bool:
        """Whether the candidate would be accepted if the incumbent's mean were known."""
        from .betting import known

        draws, variance = int(candidate.draws[0]), float(candidate.variance[0])
        most = self.policy.most_rounds(draws, len(self.tasks), variance)
        if incumbent.rounds[0] >= most:
            return False
        mean, bet = incumbent.mean(self.row), candidate.log_wealth(self.row)
        return bool(known(mean, self.mu, bet, self.kept, self.past.staked)[0] >= level)

    def _gain(self, incumbent: IncumbentBets, candidate: CandidateBets) -> tuple[float, float]:
        """Return the estimated gain and its variance."""
        episodes = incumbent.rounds[0] * len(self.tasks)
        within = candidate.spread(self.row)[0]
        variance = within / candidate.draws[0] + candidate.variance[0] / episodes
        estimate = candidate.mean(self.row)[0] - incumbent.mean(self.row)[0]
        return float(estimate), float(variance)

    def _futile(self, incumbent: IncumbentBets, candidate: CandidateBets) -> bool:
        import numpy as np

        from .betting import futile

        estimate, variance = (np.array([one]) for one in self._gain(incumbent, candidate))
        return bool(futile(estimate, variance, candidate.gain, self.policy.miss)[0])

    # -- asking ---------------------------------------------------------------------------

    def _lacking_round(
        self, incumbent: IncumbentBets, needed: int = 0
    ) -> Wave | frozenset[str] | None:
        """Return None if the next round is there, or else ask it, and more up to `needed`.

        At most twice what there is: how much is needed hangs on how far repeats agree.
        """
        have = int(incumbent.rounds[0])
        following = dict.fromkeys(self.tasks, have + 1)
        if not self.theirs.missing(following):
            return None
        most = max(2 * have, math.ceil(self.policy.wave / len(self.tasks)), have + 1)
        wanted = dict.fromkeys(self.tasks, max(min(needed, most), have + 1))
        hopeless = self.theirs.hopeless(following)
        return hopeless or Wave(candidate=(), incumbent=self.theirs.missing(wanted))

    def _wave(
        self, incumbent: IncumbentBets, candidate: CandidateBets, draw: int, wealth: float
    ) -> Wave | frozenset[str]:
        end = min(draw + self._size(candidate, draw, wealth), self.policy.longest)
        wanted = Counter(self.tasks[self.draws.task(i)] for i in range(end))
        rounds = max(int(incumbent.rounds[0]), self._rounds(end - 1))
        every = dict.fromkeys(self.tasks, rounds)
        return asked(self.ours, wanted, self.theirs, every)

    def _size(self, candidate: CandidateBets, draw: int, wealth: float) -> int:
        """Return how many more draws to ask: half of what the boundary seems to be away."""
        most = min(self.policy.wave, self.policy.longest)
        if draw == 0:
            return min(most, FIRST_WAVE)
        growth = float(candidate.gain[0] ** 2 / (2 * candidate.spread(self.row)[0]))
        away = (math.log(1 / self.policy.alpha) - wealth) / growth if wealth > -math.inf else most
        return min(most, max(SMALLEST_WAVE, math.ceil(away / 2)))

    # -- answering ------------------------------------------------------------------------

    def _verdict(
        self,
        outcome: Outcome,
        incumbent: IncumbentBets,
        candidate: CandidateBets,
        wealth: float,
    ) -> Verdict:
        estimate, variance = self._gain(incumbent, candidate)
        half = 1.96 * math.sqrt(variance)
        incumbent_score = clipped(incumbent.mean(self.row)[0])
        candidate_score = clipped(candidate.mean(self.row)[0])
        changed, usual = float(candidate.spread(self.row)[0]), float(candidate.variance[0])
        between = float(candidate.start[0].var()) / len(self.tasks)
        sides = [
            1.96 * math.sqrt(within / number + between)
            for within, number in (
                (changed, candidate.draws[0]),
                (usual, incumbent.rounds[0] * len(self.tasks)),
            )
        ]
        spent = sum(len(self.evidence.candidate.get(task, ())) for task in self.evidence.tasks)
        fresh = sum(self._fresh(task) for task in self.evidence.tasks)
        return Verdict(
            outcome=outcome,
            reason=self._reason(outcome, estimate, half, candidate),
            incumbent_score=incumbent_score,
            candidate_score=candidate_score,
            incumbent_low=clipped(incumbent_score - sides[1]),
            incumbent_high=clipped(incumbent_score + sides[1]),
            candidate_low=clipped(candidate_score - sides[0]),
            candidate_high=clipped(candidate_score + sides[0]),
            low=max(-1.0, estimate - half),
            high=min(1.0, estimate + half),
            p_value=min(1.0, math.exp(-wealth)),
            alpha=self.policy.alpha,
            episodes=spent + fresh,
            details=self._details(outcome, incumbent, candidate),
        )

    def _fresh(self, task: str) -> int:
        # before the first step the incumbent was run once
        return max(0, len(self.evidence.incumbent.get(task, ())) - self.past.asked.get(task, 1))

    def _reason(
        self, outcome: Outcome, estimate: float, half: float, candidate: CandidateBets
    ) -> str:
        tasks = len(self.tasks)
        draws, left_out = int(candidate.draws[0]), len(self.evidence.tasks) - tasks
        found = told(estimate, half, draws, tasks, left_out)
        wanted = f"{100 * float(candidate.gain[0]):.2g} points"
        return {
            "better": f"{found}: an improvement",
            "not_better": f"{found}: a gain of {wanted} is implausible",
            "not_enough_evidence": f"{found}: not enough evidence within the episodes of a step",
        }[outcome]

    def _details(
        self, outcome: Outcome, incumbent: IncumbentBets, candidate: CandidateBets
    ) -> Mapping[str, Any]:
        import numpy as np

        from .betting import MOST_LOG_WEALTH

        staked = self.past.staked
        bet = np.exp(np.minimum(candidate.log_wealth(self.row)[0], MOST_LOG_WEALTH))
        # less wealth than there is is always safe: cut what no later step can need, round down
        kept = np.minimum(self.kept[0] * (1 - staked + staked * bet), 1e6)
        details: dict[str, Any] = {
            "tasks": len(self.tasks),
            "dropped": len(self.evidence.tasks) - len(self.tasks),
            "draws": int(candidate.draws[0]),
            "rounds": int(incumbent.rounds[0]),
            "held": self.past.held,
            "within": float(incumbent.seen.within(self.row)[0]),
            "tasks_key": tasks_key(self.tasks),
            "asked": {t: len(self.evidence.incumbent.get(t, ())) for t in self.evidence.tasks},
        }
        if outcome == "better":
            ours = {t: len(self.evidence.candidate.get(t, ())) for t in self.evidence.tasks}
            # what was asked and not looked at won nothing: it is fresh
            seen = {t: self.ours.position(t, self.taken[t]) for t in self.tasks}
            details |= {"selected": seen, "asked": ours}
        else:
            details["selected"] = dict(self.past.selected)
            details["wealth"] = [float(f"{value * (1 - 1e-4):.4g}") for value in kept]
        return details


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What earlier steps left for this one."""

    rounds: int = 0  # of the incumbent that were looked at
    held: int = 0  # proposals that the incumbent has outlived on these tasks
    wealth: tuple[float, ...] = ()  # at each value of the nuisance; empty: 1 everywhere
    share: float  # by which the wealth is multiplied
    staked: float  # the share of the wealth that is bet on this candidate
    selected: Mapping[str, int] = field(default_factory=dict)  # outcomes that won the acceptance
    asked: Mapping[str, int] = field(default_factory=dict)  # outcomes when the last step ended
    within: float = WITHIN  # share of the variance within tasks, as earlier versions showed

    @classmethod
    def of(cls, evidence: Evidence, tasks: tuple[str, ...], policy: Sequential) -> _Past:
        """Read it out of the verdicts of this run.

        The wealth is carried on as long as incumbent and tasks stay the same. With tasks sampled
        anew there is no common mean: a union bound over the steps takes its place.
        """
        share = unspent(policy.steps, evidence.earlier)
        staked = stake(policy.steps, evidence.earlier)
        if policy.sampled:
            rejected = sum(not verdict.accepted for verdict in evidence.earlier)
            share, staked = share / max(policy.steps - rejected, 2), 1.0
        earlier = [verdict for verdict in evidence.earlier if "tasks_key" in verdict.details]
        if not earlier:
            return cls(share=share, staked=staked)
        last = earlier[-1].details
        same = not earlier[-1].accepted and last["tasks_key"] == tasks_key(tasks)
        return cls(
            rounds=last["rounds"] if same else 0,
            held=last["held"] + 1 if same else 0,
            wealth=tuple(last["wealth"]) if same and not policy.sampled else (),
            share=1.0 if same and not policy.sampled else share,
            staked=staked,
            selected=last["selected"],
            asked=last["asked"],
            within=last["within"],
        )


def _unsure(variance: float) -> float:
    from .betting import USUAL_VARIANCE

    return min(1.0, variance / USUAL_VARIANCE)


def _undecided(evidence: Evidence, reason: str) -> Verdict:
    spent = sum(len(scores) for scores in evidence.candidate.values())
    return Verdict(
        outcome="not_enough_evidence",
        reason=reason,
        incumbent_score=0.0,
        candidate_score=0.0,
        low=-1.0,
        high=1.0,
        episodes=spent,
    )
