"""What a step of a climb leaves: its verdict, and in its details the past of the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..acceptance import Evidence, Outcome, Verdict
from .drawing import WITHIN, clipped, tasks_key, told

if TYPE_CHECKING:
    from .ascent import Ascent
    from .betting import Array, CandidateBets

GRID = 200  # steps of the nuisance parameter between 0 and 1


@dataclass(frozen=True, slots=True)
class Mean:
    """An estimated mean score over all tasks."""

    value: float
    episodes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier steps left for this one."""

    rounds: int = 0  # of the version in use that were looked at
    wealth: tuple[float, ...] = ()  # at each value of the nuisance; empty: `share` everywhere
    share: float = 1.0
    head: Mean | None = None  # of the promising version; None: proposals build on the one in use
    head_seen: Mapping[str, int] = field(default_factory=dict)  # outcomes that made it promising
    selected: Mapping[str, int] = field(default_factory=dict)  # outcomes that won the acceptance
    asked: Mapping[str, int] = field(default_factory=dict)  # outcomes when the last step ended
    within: float = WITHIN  # share of the variance within tasks, as earlier versions showed

    @property
    def head_json(self) -> list[float] | None:
        """The promising version as details hold it."""
        return [self.head.value, self.head.episodes] if self.head else None

    @classmethod
    def of(cls, evidence: Evidence, tasks: tuple[str, ...]) -> Past:
        """Read it out of the verdicts of this run."""
        earlier = [verdict for verdict in evidence.earlier if "tasks_key" in verdict.details]
        if not earlier:
            return cls()
        last = earlier[-1].details
        same = last["tasks_key"] == tasks_key(tasks)
        head = last["head"] if evidence.head or evidence.confirm else None
        return cls(
            rounds=last["rounds"] if same else 0,
            wealth=tuple(last["wealth"]) if same else (),
            # with other tasks there is no common mean: the least that was left anywhere
            share=min(last["wealth"]),
            head=Mean(*head) if head else None,
            head_seen=last["head_seen"] if head else {},
            selected=last["selected"],
            asked=last["asked"],
            within=last["within"],
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended."""

    outcome: Outcome
    bets: CandidateBets  # the last ones
    ours: Mean  # of the candidate
    theirs: Mean  # of what it is compared with
    wealth: float | None  # log; None: nothing was bet
    promising: bool


def verdict(climb: Ascent, ended: Ended) -> Verdict:
    """Return what a step came to."""
    ours, theirs, bets = ended.ours, ended.theirs, ended.bets
    estimate, variance = climb.gain(ours, theirs, bets)
    half = 1.96 * math.sqrt(variance)
    between = float(bets.start[0].var()) / len(climb.tasks)
    usual = float(bets.variance[0])
    sides = [
        1.96 * math.sqrt(within / one.episodes + between)
        for within, one in ((max(usual, climb.policy.changed), ours), (usual, theirs))
    ]
    evidence = climb.evidence
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
        episodes=sum(_spent(climb, task) for task in evidence.tasks),
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
    seen = told(
        estimate, half, round(ended.ours.episodes), tasks, len(climb.evidence.tasks) - tasks
    )
    if ended.promising:
        return f"{seen}: promising, the next proposals build on it; not proven yet"
    return {
        "better": f"{seen}: an improvement",
        "not_better": f"{seen}: an improvement is implausible",
        "not_enough_evidence": f"{seen}: not enough evidence for going on with it",
    }[ended.outcome]


def _details(climb: Ascent, ended: Ended) -> Mapping[str, Any]:
    ours, bets = ended.ours, ended.bets
    evidence = climb.evidence
    kept = climb.kept[0]
    if ended.wealth is not None:  # something was bet
        kept = _settled(climb, bets)
    asked = {t: len(evidence.incumbent.get(t, ())) for t in evidence.tasks}
    details: dict[str, Any] = {
        "tasks": len(climb.tasks),
        "dropped": len(evidence.tasks) - len(climb.tasks),
        "draws": int(ours.episodes),
        "proved_on": int(bets.draws[0]) if ended.wealth is not None else 0,
        "rounds": int(climb.incumbent.rounds[0]),
        "tasks_key": tasks_key(climb.tasks),
        "asked": asked,
        "within": climb.within,
        "selected": dict(climb.past.selected),
        # less wealth than there is is always safe: rounded down
        "wealth": [float(f"{value * (1 - 1e-4):.4g}") for value in kept],
        "head": [ours.value, ours.episodes] if ended.promising else climb.past.head_json,
        "head_seen": _seen(climb) if ended.promising else dict(climb.past.head_seen),
    }
    if ended.outcome == "better":
        asked = {t: len(evidence.candidate.get(t, ())) for t in evidence.tasks}
        near = round(clipped(climb.used().value) * GRID)
        details |= {"selected": _seen(climb), "asked": asked, "rounds": 0, "head": None}
        # before this bet: what it won proves this version and nothing else
        details["wealth"] = [float(f"{climb.kept[0][near] * (1 - 1e-4):.4g}")] * (GRID + 1)
    elif evidence.confirm:
        details["head"] = None
    return details


def _seen(climb: Ascent) -> dict[str, int]:
    """Return how many of the candidate's outcomes were looked at: what is beyond is fresh."""
    return {task: climb.ours.position(task, climb.taken[task]) for task in climb.tasks}


def _settled(climb: Ascent, bets: CandidateBets) -> Array:
    """Return what the bet left, at most what was there: a won bet pays for no other version."""
    import numpy as np

    from .betting import MOST_LOG_WEALTH

    stake = climb.policy.stake
    won = np.exp(np.minimum(bets.log_wealth(climb.row)[0], MOST_LOG_WEALTH))
    left: Array = climb.kept[0] * np.minimum(1.0, 1 - stake + stake * won)
    return left
