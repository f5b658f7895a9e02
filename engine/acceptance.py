"""Accept or roll back: decisions as pure functions of observed outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Scores = Mapping[str, tuple[float | None, ...]]
"""Task id -> score of each repeat that ended, in repeat order; None for a failed episode."""

Outcome = Literal["better", "not_better", "not_enough_evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a policy may look at. Equal evidence, equal answer."""

    step: int  # from 1
    seed: int  # of the run; the only source of randomness
    tasks: tuple[str, ...]  # ids of the tasks the decision is about, in a fixed order
    incumbent: Scores  # every outcome so far of the version in use on these tasks
    candidate: Scores
    earlier: tuple[Verdict, ...] = ()  # of this run, oldest first: what alpha was spent on
    touched: frozenset[str] = frozenset()  # tasks whose incumbent episodes used a changed function
    # outcomes of the promising version that the proposal builds on; empty: it builds on the
    # version in use
    head: Scores = field(default_factory=dict)
    confirm: bool = False  # the candidate is that promising version itself: its last proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """More episodes are needed before deciding: (task id, repeat) for either side."""

    candidate: tuple[tuple[str, int], ...]
    incumbent: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision on one proposal."""

    outcome: Outcome
    reason: str  # one sentence for people, also told to the optimizer
    incumbent_score: float  # mean over tasks of the mean over repeats
    candidate_score: float
    low: float  # 95 % interval of candidate minus incumbent; [-1, 1] where nothing is known
    high: float
    # 95 % intervals of the two scores, for tasks like these
    incumbent_low: float = 0.0
    incumbent_high: float = 1.0
    candidate_low: float = 0.0
    candidate_high: float = 1.0
    p_value: float | None = None  # None: the policy makes no test
    alpha: float | None = None  # what this decision spent of the run's error budget
    # not accepted, but the next proposals build on it; with outcome "not_enough_evidence" only
    promising: bool = False
    reusable: bool = True  # may the candidate's outcomes stand as the incumbent's, if accepted?
    episodes: int = 0  # candidate and fresh incumbent episodes that were spent
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON

    @property
    def accepted(self) -> bool:
        """Only evidence of an improvement accepts."""
        return self.outcome == "better"


def joined(earlier: Scores, later: Scores) -> Scores:
    """Return the outcomes of one version with later ones behind."""
    more = {task_id: (*earlier.get(task_id, ()), *scores) for task_id, scores in later.items()}
    return {**earlier, **more}


class Acceptance(Protocol):
    """A policy. The trainer asks until it gets a verdict, running the waves in between.

    Rules: pure; ends for every sequence of outcomes; a wave asks for at least one episode that
    was not observed yet; repeats of a task are asked in order.
    """

    def judge(self, evidence: Evidence) -> Wave | Verdict: ...
