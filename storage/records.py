"""A stored run as it is read: plain values, one class per question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..engine.events import Verdicts
from ..engine.functions import Function
from ..engine.parameters import Parameters
from ..engine.reliability import Divergence, Reliability
from ..engine.usage import NO_USAGE, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """One evaluation. `score` is None while it is not finished, or if it was void."""

    evaluation: str
    version: str
    planned: int | None = None  # episodes
    score: float | None = None
    low: float | None = None
    high: float | None = None
    tasks: int = 0  # with at least one scored episode
    episodes: int = 0  # scored
    failed: int = 0
    usage: Usage = NO_USAGE
    gold: Verdicts | None = None  # with a critic: both judges, whichever gives the score
    critic: Verdicts | None = None
    at_unix_s: float = 0.0  # when it began


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRecord:
    """One action of the optimizer."""

    step: int
    action: int
    proposal: int  # of the step, from 0, where several raced
    edit: Mapping[str, Any] | None  # as `edit_to_json` spells it; None: unreadable
    refused: str = ""  # why; empty: applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One proposal and what became of it."""

    step: int
    outcome: str  # accepted, rolled_back, unchanged, void
    reason: str
    incumbent_version: str
    candidate_version: str
    incumbent_score: float | None
    score: float | None
    incumbent_low: float | None  # 95 % intervals of the two scores
    incumbent_high: float | None
    score_low: float | None
    score_high: float | None
    effect: float | None
    low: float | None  # of the effect
    high: float | None
    gold: float | None  # with a critic: both judges of the candidate
    critic: float | None
    episodes: int
    usage: Usage
    details: Mapping[str, Any]  # verdict, p_value, alpha and what the policy adds
    edits: tuple[EditRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTest:
    """The sealed test before and after, paired on tasks."""

    before: float
    after: float
    effect: float  # after minus before
    low: float  # 95 % interval of the effect
    high: float
    p_value: float  # exact, two-sided
    tasks: int  # scored on both sides
    dropped: int
    won: int  # tasks that got better
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUse:
    """How a function, or a frozen tool, was used over the whole run."""

    name: str
    function_hash: str | None  # None: a frozen tool, or a name that no tool has
    calls: int
    outcomes: Mapping[str, int]  # value, exception, timeout, refused, system_failure -> calls
    elapsed_s: float  # of all calls
    episodes: int  # scored episodes that called it
    solved: int  # of these
    failed: int  # failed episodes that called it
    tasks: int = 0  # different tasks with a scored episode that called it
    tasks_solved: int = 0  # of these, with at least one that was solved
    slowest_s: float = 0.0  # of one call
    last_used: str = ""  # the evaluation that began last among those that called it
    last_used_unix_s: float = 0.0
    solved_share: float | None = None  # mean over tasks; None: no scored episode
    solved_low: float | None = None  # its 95 % interval, clustered by task
    solved_high: float | None = None

    @property
    def errors(self) -> int:
        """Calls that gave no value."""
        return self.calls - self.outcomes.get("value", 0)

    @property
    def tasks_failed(self) -> int:
        """Tasks that it was called in and that were solved in no such episode."""
        return self.tasks - self.tasks_solved

    @property
    def mean_s(self) -> float:
        """Seconds that a call took."""
        return self.elapsed_s / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One version of a learned function in a run: where it came from, and how it did."""

    function: Function
    predecessor: str | None = None  # hash of the version that it was to replace
    proposed_in: int | None = None  # the first step that proposed it; None: there from the start
    accepted_in: int | None = None  # the step that first accepted it
    ended_in: int | None = None  # the accepted step that last removed or replaced it
    successor: str | None = None  # hash of what replaced it there; None: it was removed
    in_result: bool = False  # whether the run's final parameters hold it
    use: FunctionUse | None = None  # None: never called

    @property
    def standing(self) -> str:
        """Where it stands at the end: in use, replaced, removed or rolled back."""
        if self.in_result:
            return "in use"
        if self.proposed_in is not None and self.accepted_in is None:
            return "rolled back"
        return "replaced" if self.successor else "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run as it stands in a list."""

    id: str
    kind: str
    name: str
    status: str  # running, done, failed, paused, interrupted
    stopped_by: str
    message: str
    sandbox: str
    seed: int
    created_at_unix_s: float
    seconds: float  # at work, over all stops
    usage: Usage
    before: Mapping[str, Evaluated] = field(default_factory=dict)  # split -> first score
    after: Mapping[str, Evaluated] = field(default_factory=dict)  # split -> of the best version


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """Everything that is stored of a run, but its conversations."""

    summary: RunSummary
    config: Mapping[str, Any]
    task_hashes: Mapping[str, str]
    step: int  # steps done
    initial: Parameters
    final: Parameters  # the best accepted ones so far
    parameters: Mapping[str, Parameters]  # version -> every version of the run
    evaluations: tuple[Evaluated, ...]
    decisions: tuple[Decision, ...]
    functions: tuple[FunctionUse, ...]
    ledger: tuple[FunctionVersion, ...]  # every version of every function, in order of appearance
    costs: Mapping[str, Usage]  # part (agent, optimizer, critic, ...) -> what it used
    critic: Reliability | None = None  # how far its critic can be trusted; None: no critic
    divergence: Divergence | None = None  # of critic and gold; None: nothing to compare
    sealed_test: SealedTest | None = None  # None: not compared, or nothing was accepted
