"""An optimizer proposes edits from a batch of episodes. Proposing is apart from applying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .critic import Preference
from .episode import Episode
from .events import Event
from .functions import Function
from .messages import Reply, Request, Tool
from .parameters import Edit, Parameters
from .ports import CallResult, ModelFacts
from .tasks import Task
from .tuning_jobs import TuningPlan

State = Mapping[str, Any]
"""JSON. All that an optimizer remembers between steps; stored in the checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """A proposal that was rolled back: an entry of the failure record of Algorithm 2."""

    parameters: Parameters
    score: float  # what it reached; the incumbent it lost to had at least this
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Episodes of one parameters version, in task order (invariants 5 and 7)."""

    parameters: Parameters
    episodes: tuple[Episode, ...]  # scored ones only
    tasks: Mapping[str, Task]  # by id, targets blanked unless the run's `feedback` is "target"
    failed: int = 0  # episodes left out because the system failed
    comments: bool = False  # whether the optimizer may read the scorer's comments


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that an optimizer may look at in one step."""

    step: int
    batch: Batch
    failures: tuple[FailedAttempt, ...] = ()  # since the last acceptance, worst first
    last_verdict: str = ""  # what the policy said of the previous proposal; empty at first


class Workbench(Protocol):
    """What an optimizer may do while it proposes. Everything here is budgeted and recorded."""

    async def complete(self, request: Request) -> Reply:
        """Ask the optimizer's model. Retried, limited, journaled.

        Raises:
            ModelError, BudgetExhausted.
        """
        ...

    def facts(self) -> ModelFacts:
        """Return what is known of the optimizer's model: its context window above all."""
        ...

    async def check(self, function: Function) -> None:
        """Try a function before it is accepted: it loads in the sandbox, packages are allowed.

        Raises:
            InvalidEdit: It does not; the message is for the model.
            SandboxError: The sandbox failed.
        """
        ...

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        """Call a function in the sandbox, at no model's cost: nothing that it does raises here."""
        ...

    async def offered(self, episode: Episode) -> tuple[Tool, ...]:
        """Return the tools that an episode's agent offered to its model."""
        ...

    async def tune(self, plan: TuningPlan) -> str:
        """Fine-tune a model and return the new one, `provider/model`. Takes as long as it takes.

        Raises:
            TuningFailed: No model came of it; the run stops, and submits another job when resumed.
            ConfigError: A cap in USD, and the job has no known price.
            ModelError, BudgetExhausted.
        """
        ...

    async def prefer(self, a: Episode, b: Episode) -> Preference:
        """Ask the critic which of two episodes of one task is better, in both orders.

        Raises:
            ConfigError: The run has no critic.
            CriticError, ModelError, BudgetExhausted.
        """
        ...

    async def publish(self, event: Event) -> None:
        """Put an event on the bus; run id and time are filled in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an optimizer proposes: edits that `apply` takes, and its next state."""

    edits: tuple[Edit, ...]
    state: State = field(default_factory=dict)
    note: str = ""  # why; for people


class Optimizer(Protocol):
    """`init` makes the first state, `propose` reads the situation and returns the next one."""

    def init(self) -> State: ...

    async def propose(
        self, state: State, situation: Situation, workbench: Workbench
    ) -> Proposal: ...
