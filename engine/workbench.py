"""What an optimizer has in its hands during one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .bus import EventBus
from .calls import ModelCalls
from .critic import Critic, Preference, blind_episode
from .episode import Episode
from .errors import ConfigError, InvalidEdit, SandboxError
from .events import EditProposed, Event
from .functions import Function
from .messages import Reply, Request, Tool
from .ports import CallResult, ModelFacts, Sandbox
from .scope import CallScope
from .tasks import Task
from .tuning import Tuning
from .tuning_jobs import TuningPlan


@dataclass(frozen=True, slots=True)
class StepWorkbench:
    """The engine's `Workbench`: one per proposal."""

    model: str
    scope: CallScope
    sandbox: Sandbox
    bus: EventBus
    calls: ModelCalls
    step: int
    tuning: Tuning | None = None  # None: the run has nobody who fine-tunes
    proposal: int = 0  # of the step, where several race
    critic: Critic | None = None

    async def complete(self, request: Request) -> Reply:
        """Ask a model; numbered, journaled, budgeted."""
        if self.proposal and request.seed is not None:
            request = replace(request, seed=request.seed + self.proposal)
        return await self.scope.complete(request)

    def facts(self) -> ModelFacts:
        """Return what is known of the optimizer's model."""
        return self.scope.facts(self.model)

    async def check(self, function: Function) -> None:
        """Load a function in the sandbox."""
        result = await self.sandbox.check(function)
        if result.outcome == "system_failure":
            raise SandboxError(result.error)
        if result.outcome != "value":
            raise InvalidEdit(
                f"The code of {function.name!r} does not load ({result.outcome}): {result.error}"
            )

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        """Call a function in the sandbox, at no model's cost."""
        return await self.sandbox.call(function, arguments)

    async def offered(self, episode: Episode) -> tuple[Tool, ...]:
        """Return the tools that an episode's agent offered to its model."""
        return await self.calls.offered(episode.id)

    async def tune(self, plan: TuningPlan) -> str:
        """Fine-tune a model; durable, budgeted."""
        if self.tuning is None:
            raise ConfigError("the run has nobody who fine-tunes", key="finetune")
        return await self.tuning.tune(f"{self.scope.name}/tuning", self.step, plan)

    async def prefer(self, a: Episode, b: Episode) -> Preference:
        """Ask the critic; it sees neither target nor score."""
        if self.critic is None:
            raise ConfigError("the run has no critic that compares", key="critic")
        task = Task(id=a.job.task_id, prompt=a.prompt)
        blind = (blind_episode(a), blind_episode(b))
        return await self.critic.prefer(task, *blind, within=self.scope.name)

    async def publish(self, event: Event) -> None:
        """Put an event on the bus."""
        if isinstance(event, EditProposed):
            event = replace(event, proposal=self.proposal)
        await self.bus.publish(event)
