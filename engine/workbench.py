"""What an optimizer has in its hands during one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bus import EventBus
from .errors import InvalidEdit, SandboxError
from .events import Event
from .functions import Function
from .messages import Reply, Request
from .ports import CallResult, ModelFacts, Sandbox
from .scope import CallScope


@dataclass(frozen=True, slots=True)
class StepWorkbench:
    """The engine's `Workbench`: one per step."""

    model: str
    scope: CallScope
    sandbox: Sandbox
    bus: EventBus

    async def complete(self, request: Request) -> Reply:
        """Ask a model; numbered, journaled, budgeted."""
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

    async def publish(self, event: Event) -> None:
        """Put an event on the bus."""
        await self.bus.publish(event)
