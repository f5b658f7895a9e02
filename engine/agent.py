"""An agent solves one task with one parameters version. It may be the user's own callable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from .episode import FunctionCall
from .messages import Message, Reply, Tool
from .parameters import Parameters
from .ports import AgentLimits, Answer
from .tasks import Task


class Workspace(Protocol):
    """What an agent may do in one episode. Every call is limited, budgeted and recorded."""

    @property
    def parameters(self) -> Parameters:
        """The version to use: functions, instructions, demonstrations."""
        ...

    @property
    def limits(self) -> AgentLimits: ...

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        tool_choice: Literal["auto", "required", "none"] = "auto",
        stop: Sequence[str] = (),
    ) -> Reply:
        """Ask the agent's model. `messages` and the reply become the episode's conversation.

        Raises:
            ModelError, BudgetExhausted: Let them pass: the episode fails, it is not scored.
        """
        ...

    async def call_function(self, name: str, arguments: str) -> FunctionCall:
        """Call a learned function or a frozen tool (`python` among them) with raw arguments.

        Never raises for what the model did wrong: an unknown name, invalid JSON, arguments that
        break the schema, an exception inside: all come back as the result to show the model.

        Raises:
            SandboxError: The sandbox itself failed. Let it pass.
        """
        ...

    def tools(self) -> tuple[Tool, ...]:
        """Return the learned functions and the frozen tools as the model sees them."""
        ...

    def record(self, messages: Sequence[Message]) -> None:
        """Set the episode's conversation, where it goes on after the last model call."""
        ...


class Agent(Protocol):
    """An async callable. `task.target` is always None here: an agent never sees the answer."""

    async def __call__(self, task: Task, workspace: Workspace) -> Answer: ...
