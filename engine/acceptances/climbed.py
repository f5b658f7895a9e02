"""What a step of a climb leaves: its verdict, and in its details the past of the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..acceptance import Evidence, Outcome, Scores, Verdict
from .drawing import WITHIN, clipped, tasks_key, told

if TYPE_CHECKING:
    from .ascent import Ascent
    from .belief import Level
    from .betting import Array, CandidateBets

GRID = 200  # steps of the nuisance parameter between 0 and 1


@dataclass(frozen=True, slots=True)
class Mean:
    """A belief in a true mean over all tasks, as details hold it."""

    value: float
    variance: float

    @classmethod
    def of(cls, level: Level) -> Mean:
        """Read it out of one run's belief."""
        return cls(float(level.mean[0]), float(level.variance[0]))

    def level(self) -> Level:
        """Return the belief, to go on with."""
        import numpy as np

        from .belief import Level

        return Level(np.array([self.value]), np.array([self.variance]))

    def to_json(self) -> list[float]:
        """Return what details hold."""
        return [self.value, self.variance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier steps left for this one."""

    rounds: int = 0  # of the version in use that were looked at
    wealth: tuple[float, ...] = ()  # at each value of the nuisance; empty: `share` everywhere
    share: float = 1.0
    base: Mean | None = None  # of the version in use; None: nothing is known of it
    head: Mean | None = None  # of the promising version; None: proposals build on the one in use
    gains: tuple[float, float, float] = (0.0, 0.0, 0.0)  # what `Gains` keeps
    head_seen: Mapping[str, int] = field(default_factory=dict)  # outcomes that made it promising
    head_asked: Mapping[str, int] = field(default_factory=dict)  # when the last step ended
    selected: Mapping[str, int] = field(default_factory=dict)  # outcomes that won the acceptance
    asked: Mapping[str, int] = field(default_factory=dict)  # outcomes when the last step ended
    within: float = WITHIN  # share of the variance within tasks, as earlier versions showed

    @classmethod
    def of(cls, evidence: Evidence, tasks: tuple[str, ...]) -> Past:
        """Read it out of the verdicts of this run."""
        earlier = [verdict for verdict in evidence.earlier if "gains" in verdict.details]
        if not earlier:
            return cls()
        last = earlier[-1].details
        same = last["tasks_key"] == tasks_key(tasks)
        head = last["head"] if evidence.head or evidence.confirm else None
        return cls(
            rounds=last["rounds"],
            wealth=tuple(last["wealth"]) if same else (),
            # with other tasks there is no common mean: the least that was left anywhere
            share=min(last["wealth"]),
            base=Mean(*last["base"]),
            head=Mean(*head) if head else None,
            gains=tuple(last["gains"]),
            head_seen=last["head_seen"] if head else {},
            head_asked=last["head_asked"] if head else {},
            selected=last["selected"],
            asked=last["asked"],
            within=last["within"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a step ended."""

    outcome: Outcome
    ours: Level  # of the candidate
    theirs: Level  # of what it is compared with
    variance: float  # of the gain
    bets: CandidateBets | None  # None: nothing was bet
    wealth: float | None  # log
    promising: bool


def verdict(climb: Ascent, ended: Ended) -> Verdict:
    """Return what a step came to."""
    ours, theirs = Mean.of(ended.ours), Mean.of(ended.theirs)
    estimate, half = ours.value - theirs.value, 1.96 * math.sqrt(ended.variance)
    between = climb.between
    sides = [1.96 * math.sqrt(one.variance + between) for one in (ours, theirs)]
    return Verdict(
        outcome=ended.outcome,
        reason=_reason(climb, ended, estimate, half),
        incumbent_score=clipped(theirs.value),
        candidate_score=clipped(ours.value),
        low=max(-1.0, estimate - half),
        high=min(1.0, estimate + half),
        incumbent_low=clipped(theirs.value - sides[1]),
        incumbent_high=clipped(theirs.value + sides[1]),
        candidate_low=clipped(ours.value - sides[0]),
        candidate_high=clipped(ours.value + sides[0]),
        p_value=None if ended.wealth is None else min(1.0, math.exp(-ended.wealth)),
        alpha=climb.policy.alpha,
        episodes=sum(_spent(climb, task) for task in climb.evidence.tasks),
        promising=ended.promising,
        details=_details(climb, ended),
    )


def _spent(climb: Ascent, task: str) -> int:
    ours = len(climb.evidence.candidate.get(task, ()))
    if climb.evidence.confirm:
        ours -= len(climb.evidence.head.get(task, ()))
    # before the first step the version in use was run once
    theirs = len(climb.evidence.incumbent.get(task, ())) - climb.past.asked.get(task, 1)
    return ours + max(0, theirs)


def _reason(climb: Ascent, ended: Ended, estimate: float, half: float) -> str:
    tasks = len(climb.tasks)
    told_of = told(estimate, half, climb.taken.total(), tasks, len(climb.evidence.tasks) - tasks)
    if ended.promising:
        return f"{told_of}: promising, the next proposals build on it; not proven yet"
    return {
        "better": f"{told_of}: an improvement",
        "not_better": f"{told_of}: more likely no improvement",
        "not_enough_evidence": f"{told_of}: not enough evidence for an improvement",
    }[ended.outcome]


def _details(climb: Ascent, ended: Ended) -> Mapping[str, Any]:
    evidence, bets, past = climb.evidence, ended.bets, climb.past
    kept = climb.kept[0] if bets is None else _settled(climb, bets)
    gains = climb.gains
    head = Mean.of(ended.ours) if ended.promising else Mean.of(climb.level) if past.head else None
    details: dict[str, Any] = {
        "tasks": len(climb.tasks),
        "dropped": len(evidence.tasks) - len(climb.tasks),
        "draws": climb.taken.total(),
        "proved_on": 0 if bets is None else int(bets.draws[0]),
        "rounds": int(climb.incumbent.rounds[0]),
        "tasks_key": tasks_key(climb.tasks),
        "asked": _asked(evidence.incumbent, evidence),
        "within": climb.within,
        "selected": dict(past.selected),
        "wealth": list(past.wealth) if bets is None and past.wealth else _rounded(kept),
        "base": Mean.of(climb.base).to_json(),
        "head": head.to_json() if head and not evidence.confirm else None,
        "gains": [float(one[0]) for one in (gains.total, gains.squares, gains.weight)],
        "head_seen": _seen(climb) if ended.promising else dict(past.head_seen),
        "head_asked": _asked(evidence.candidate if ended.promising else evidence.head, evidence),
    }
    if ended.outcome == "better":
        used = float(climb.incumbent.mean(climb.row)[0])
        near = round(clipped(used) * GRID)
        details |= {
            "asked": _asked(evidence.candidate, evidence),
            "selected": _seen(climb),
            "rounds": 0,
            "base": Mean.of(ended.ours).to_json(),
            "head": None,
            # before this bet: what it won proves this version and nothing else
            "wealth": _rounded(climb.kept[0][near : near + 1]) * (GRID + 1),
        }
    return details


def _asked(scores: Scores, evidence: Evidence) -> dict[str, int]:
    """Return how many outcomes of each task there are, failed ones as well."""
    return {task: len(scores.get(task, ())) for task in evidence.tasks}


def _rounded(wealth: Array) -> list[float]:
    """Return what details hold of it: less than there is, which is always safe."""
    return [float(f"{value * (1 - 1e-4):.4g}") for value in wealth]


def _seen(climb: Ascent) -> dict[str, int]:
    """Return how many of the candidate's outcomes were looked at: what is beyond is fresh."""
    return {task: climb.ours.position(task, climb.taken[task]) for task in climb.tasks}


def _settled(climb: Ascent, bets: CandidateBets) -> Array:
    """Return what the bet left, at most what was there: a won bet pays for no other version."""
    import numpy as np

    from .betting import MOST_LOG_WEALTH

    won = np.exp(np.minimum(bets.log_wealth(climb.row)[0], MOST_LOG_WEALTH))
    left: Array = climb.kept[0] * np.minimum(1.0, 1 - climb.stake + climb.stake * won)
    return left
