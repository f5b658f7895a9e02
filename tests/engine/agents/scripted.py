"""A workspace that plays a script: replies in order, results by a function of the test's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from funcforge.engine.episode import FunctionCall
from funcforge.engine.errors import SandboxError
from funcforge.engine.messages import Finish, Message, Reply, Tool, ToolCall
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import AgentLimits, Answer
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage

PYTHON = Tool(name="python", description="Runs code.", arguments={"type": "object"})
ADD = Tool(name="add", description="Adds two numbers.", arguments={"type": "object"})
TASK = Task(id="t", prompt="What is 2 + 2?")


def say(text: str = "", *calls: tuple[str, str], finish: Finish = "stop", tokens: int = 0) -> Reply:
    """A reply with native calls (name, raw arguments)."""
    made = tuple(
        ToolCall(id=f"id{n}", name=name, arguments=arguments)
        for n, (name, arguments) in enumerate(calls)
    )
    return Reply(
        message=Message(role="assistant", content=text, tool_calls=made),
        finish=finish,
        usage=Usage(calls=1, prompt_tokens=tokens),
    )


class ScriptedWorkspace:
    """Replies come from the script, its last one for ever."""

    def __init__(
        self,
        *script: Reply | Exception,
        tools: Sequence[Tool] = (ADD, PYTHON),
        limits: AgentLimits | None = None,
        parameters: Parameters | None = None,
        result: Callable[[str, str], str] = lambda name, arguments: f"{name}:{arguments}",
    ) -> None:
        self.parameters = parameters or Parameters()
        self.limits = limits or AgentLimits(turns=6)
        self.requests: list[tuple[Message, ...]] = []
        self.offered: list[tuple[str, ...]] = []
        self.calls: list[tuple[str, str]] = []
        self.recorded: tuple[Message, ...] = ()
        self._script = script
        self._tools = tuple(tools)
        self._result = result

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        tool_choice: Literal["auto", "required", "none"] = "auto",
        stop: Sequence[str] = (),
    ) -> Reply:
        reply = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(tuple(messages))
        self.offered.append(tuple(tool.name for tool in tools))
        if isinstance(reply, Exception):
            raise reply
        self.recorded = (*messages, reply.message)
        return reply

    async def call_function(self, name: str, arguments: str) -> FunctionCall:
        self.calls.append((name, arguments))
        if name == "broken_sandbox":
            raise SandboxError("the sandbox died")
        if name not in {tool.name for tool in self._tools}:
            return FunctionCall(
                name=name, arguments=arguments, outcome="refused", result=f"no tool {name!r}"
            )
        result = self._result(name, arguments)
        return FunctionCall(name=name, arguments=arguments, outcome="value", result=result)

    def tools(self) -> tuple[Tool, ...]:
        return self._tools

    def record(self, messages: Sequence[Message]) -> None:
        self.recorded = tuple(messages)

    @property
    def told(self) -> str:
        """What the model was shown last."""
        return self.requests[-1][-1].content


def boxed(text: str) -> Reply:
    """A final answer."""
    return say(f"The answer is \\boxed{{{text}}}.")


ANSWERED = Answer(text="4")
