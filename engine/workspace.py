"""What an agent has in its hands during one episode."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from .canonical import canonical_json
from .episode import FunctionCall
from .errors import InvalidReply, SandboxError
from .functions import Function
from .messages import Message, Reply, Request, Tool
from .parameters import Parameters
from .pasted_code import bare_code
from .ports import AgentLimits, CallResult, Interpreter, Sandbox
from .schemas import validate_arguments
from .scope import CallScope
from .tasks import Task

RESULT_CHARACTERS = 16_000  # what one call may add to the conversation

PYTHON = Tool(
    name="python",
    description=(
        "Run Python code and return what it prints and the value of its last expression. "
        "Variables stay for the next block."
    ),
    arguments={
        "type": "object",
        "properties": {"code": {"type": "string", "description": "Python source"}},
        "required": ["code"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenTool:
    """A tool that is not learned: the application's own code, run in its own process."""

    tool: Tool
    call: Callable[[Mapping[str, Any]], Awaitable[CallResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """How the agent's model is asked."""

    model: str
    temperature: float | None = None
    seed: int | None = None  # sent plus the repeat's number, where the provider takes one
    python: bool = True  # whether the agent has a code interpreter
    frozen: tuple[FrozenTool, ...] = ()

    def frozen_names(self) -> frozenset[str]:
        """Return the names that no learned function may take."""
        names = {frozen.tool.name for frozen in self.frozen}
        return frozenset(names | {PYTHON.name})


class EpisodeWorkspace:
    """The engine's `Workspace`: one per attempt at an episode. Use as `async with`."""

    def __init__(
        self,
        task: Task,
        parameters: Parameters,
        *,
        settings: AgentSettings,
        limits: AgentLimits,
        scope: CallScope,
        sandbox: Sandbox,
        repeat: int = 0,
    ) -> None:
        self.parameters = parameters
        self.limits = limits
        self.messages: tuple[Message, ...] = ()
        self._made: dict[int, FunctionCall] = {}  # by place: the order in which they began
        self._begun = 0
        self._task = task
        self._settings = settings
        self._scope = scope
        self._sandbox = sandbox
        self._repeat = repeat
        self._frozen = {frozen.tool.name: frozen for frozen in settings.frozen}
        self._furniture: frozenset[str] = frozenset()
        self._tools: tuple[Tool, ...] | None = None  # made when first asked for
        self._stack: AsyncExitStack | None = None  # made with the interpreter: most have none
        self._interpreter: Interpreter | None = None
        self._one_block: anyio.Lock | None = None  # made with the first block: most have none

    def furnish(self, tools: Sequence[FrozenTool]) -> None:
        """Add the tools of the environment that the episode takes place in.

        A learned function of the same name is out of reach then: what the task is about stays.
        """
        self._frozen.update((frozen.tool.name, frozen) for frozen in tools)
        self._furniture = frozenset(frozen.tool.name for frozen in tools)
        self._tools = None

    async def __aenter__(self) -> EpisodeWorkspace:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._stack is not None:
            await self._stack.aclose()

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        tool_choice: Literal["auto", "required", "none"] = "auto",
        stop: Sequence[str] = (),
    ) -> Reply:
        """Ask the agent's model; the conversation so far becomes the episode's."""
        settings = self._settings
        seed = None if settings.seed is None else settings.seed + self._repeat
        request = Request(
            model=self.parameters.model or settings.model,
            messages=tuple(messages),
            tools=tuple(tools),
            tool_choice=tool_choice,
            max_tokens=self.limits.reply_tokens,
            temperature=settings.temperature,
            seed=seed,
            stop=tuple(stop),
        )
        self.messages = request.messages
        reply = await self._scope.complete(request)
        self.messages = (*request.messages, reply.message)
        return reply

    def record(self, messages: Sequence[Message]) -> None:
        """Set the episode's conversation."""
        self.messages = tuple(messages)

    @property
    def used_tokens(self) -> int:
        """Prompt and completion tokens of this episode so far."""
        return self._scope.usage.tokens

    def tools(self) -> tuple[Tool, ...]:
        """Return the learned functions, then the frozen tools, each by name."""
        if self._tools is None:
            self._tools = self._offer()
        return self._tools

    def _offer(self) -> tuple[Tool, ...]:
        frozen = [frozen.tool for frozen in self._frozen.values()]
        if self._settings.python:
            frozen.append(PYTHON)
        learned = [
            function.tool()
            for function in self.parameters.functions
            if function.name not in self._furniture
        ]
        return (*learned, *sorted(frozen, key=lambda tool: tool.name))

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """The calls in the order they began: parallel ones end in any (invariant 5)."""
        return tuple(self._made[place] for place in sorted(self._made))

    async def call_function(self, name: str, arguments: str) -> FunctionCall:
        """Call a function or tool with the raw text that the model wrote."""
        place = self._begun
        self._begun += 1
        function = None if name in self._furniture else self.parameters.function(name)
        try:
            values = self._read_arguments(name, arguments, function)
        except InvalidReply as error:
            result = CallResult(outcome="refused", error=str(error))
        else:
            result = await self._dispatch(name, values, function)
        if result.outcome == "system_failure":
            raise SandboxError(result.error or "the sandbox failed")
        call = FunctionCall(
            name=name,
            arguments=arguments,
            outcome=result.outcome,
            result=render(result),
            function_hash=function.hash if function else None,
            elapsed_s=result.elapsed_s,
        )
        self._made[place] = call
        return call

    def _read_arguments(
        self, name: str, arguments: str, function: Function | None
    ) -> Mapping[str, Any]:
        schema = self._schema(name, function)
        if schema is None:
            names = ", ".join(tool.name for tool in self.tools()) or "none"
            raise InvalidReply(f"There is no tool named {name!r}. The tools are: {names}.")
        if name == PYTHON.name and function is None:
            values = _read_code(arguments)
        else:
            values = _read_object(arguments)
        validate_arguments(schema, values)
        return values

    def _schema(self, name: str, function: Function | None) -> Mapping[str, Any] | None:
        if function is not None:
            return function.arguments
        if name in self._frozen:
            return self._frozen[name].tool.arguments
        if name == PYTHON.name and self._settings.python:
            return PYTHON.arguments
        return None

    async def _dispatch(
        self, name: str, values: Mapping[str, Any], function: Function | None
    ) -> CallResult:
        if function is not None:
            return await self._sandbox.call(function, values)
        if name in self._frozen:
            return await self._frozen[name].call(values)
        return await self._run_block(str(values["code"]))

    async def _run_block(self, code: str) -> CallResult:
        # parallel calls in one reply share the interpreter; blocks run one after the other
        self._one_block = self._one_block or anyio.Lock()
        async with self._one_block:
            if self._interpreter is None:
                self._stack = AsyncExitStack()
                self._interpreter = await self._stack.enter_async_context(
                    self._sandbox.interpreter(
                        functions=self.parameters.functions, files=self._task.files
                    )
                )
            return await self._interpreter.run(code)


def render(result: CallResult) -> str:
    """Return a call's result as the agent's model is told it, cut in the middle if too long."""
    parts = []
    if result.stdout:
        parts.append(result.stdout.rstrip("\n"))
    if result.outcome == "value":
        value = result.value
        if value is not None or not parts:
            parts.append(value if isinstance(value, str) else _spell(value))
    else:
        parts.append(f"{_HEADS.get(result.outcome, 'Error')}: {result.error}")
    return cut("\n".join(parts), RESULT_CHARACTERS)


_HEADS = {"exception": "Error", "timeout": "Timed out", "refused": "Refused"}


def _spell(value: Any) -> str:
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        return repr(value)


def cut(text: str, characters: int) -> str:
    """Shorten a text in the middle, with a mark that says how much is missing."""
    if len(text) <= characters:
        return text
    half = characters // 2
    missing = len(text) - 2 * half
    return f"{text[:half]}\n[... {missing} characters left out ...]\n{text[-half:]}"


def _read_object(arguments: str) -> Mapping[str, Any]:
    """Read a JSON object; models sometimes send it encoded twice, or nothing for no arguments."""
    if not arguments.strip():
        return {}
    try:
        values = json.loads(arguments)
        if isinstance(values, str):
            values = json.loads(values)
    except (ValueError, RecursionError) as error:
        raise InvalidReply(f"The arguments are not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise InvalidReply(
            f"The arguments must be a JSON object of names and values, not {type(values).__name__}."
        )
    return values


def _read_code(arguments: str) -> Mapping[str, Any]:
    """Read the interpreter's arguments; bare code, which models do send, is taken as code."""
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return {"code": bare_code(arguments)}
    if not isinstance(values, dict):
        return {"code": bare_code(values if isinstance(values, str) else arguments)}
    code = values.get("code")
    return {**values, "code": bare_code(code)} if isinstance(code, str) else values
