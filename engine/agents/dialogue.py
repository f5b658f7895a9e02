"""The loop both agents share: ask, act, show the results, until there is an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio

from ..agent import Workspace
from ..episode import FunctionCall
from ..errors import RequestRefused
from ..messages import Message, Reply, Tool, ToolCall
from ..ports import Answer
from .actions import Reading, read_actions
from .answers import AnswerFormat, says_terminate, strip_terminate
from .template import phrases

PYTHON = "python"  # the interpreter's name among the tools
EMPTY = "(empty message)"  # stands for an empty reply: providers refuse empty messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a reply amounts to."""

    message: Message
    native: tuple[ToolCall, ...]  # calls by the provider's own mechanism
    reading: Reading  # calls and code in the text

    @property
    def acts(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.native or self.reading.actions)

    @property
    def signature(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What makes two replies the same: all but the ids of calls."""
        return (
            self.message.content,
            tuple((call.name, call.arguments) for call in self.message.tool_calls),
        )


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """One episode's conversation. Made for one task, used once.

    Args:
        workspace: Where the model and the tools are.
        answer: How the final answer is found.
        opening: The messages before the first reply.
        offered: Tools sent along with each request; none for an agent that acts in text.
        text_calls: Whether calls in the text of any name count, or of known tools only.
    """

    workspace: Workspace
    answer: AnswerFormat
    opening: tuple[Message, ...]
    offered: tuple[Tool, ...] = ()
    text_calls: bool = True

    messages: list[Message] = field(default_factory=list, init=False)
    tokens: int = field(default=0, init=False)
    best: str | None = field(default=None, init=False)  # an answer given beside an action
    repeats: int = field(default=0, init=False)
    last: tuple[object, str] | None = field(default=None, init=False)  # step and its results

    async def run(self) -> Answer:
        """Talk until there is an answer or a limit is reached."""
        limits = self.workspace.limits
        self.messages = list(self.opening)
        signature: object = None
        for turn in range(limits.turns):
            try:
                reply = await self.workspace.complete(self.messages, tools=self.offered)
            except RequestRefused as error:
                if error.kind == "context_too_long" and turn > 0:
                    return self._stop("tokens")  # the agent's own talk filled the window
                raise
            step = self._read(reply, turn)
            self.messages.append(step.message)
            self.tokens += reply.usage.tokens
            answer = self._settle(step)
            if answer is not None:
                return answer
            self.repeats = self.repeats + 1 if step.signature == signature else 1
            signature = step.signature
            if self.repeats >= limits.repetitions:
                return self._stop("no_answer" if self._is_empty(step) else "repetition")
            if self.tokens >= limits.tokens:
                return self._stop("tokens")
            if turn + 1 < limits.turns:  # nobody would read the results of the last turn
                await self._act(step, cut_off=reply.finish == "length")
        return self._stop("turns")

    def _stop(self, end: str) -> Answer:
        self.workspace.record(self.messages)
        return Answer(text=self.best, end=end)

    def _read(self, reply: Reply, turn: int) -> Step:
        native = tuple(_with_ids(reply.message.tool_calls, turn))
        names = {tool.name for tool in self.workspace.tools()}
        reading = read_actions(reply.message.content, python=PYTHON in names)
        if not self.text_calls:
            known = tuple(call for call in reading.actions if call.name in names)
            reading = replace(reading, actions=known)
        content = reply.message.content
        if not content.strip() and not native:
            content = EMPTY
        message = reply.message
        if (content, native) != (message.content, message.tool_calls):
            message = replace(message, content=content, tool_calls=native)
        return Step(message=message, native=native, reading=reading)

    def _is_empty(self, step: Step) -> bool:
        return step.message.content == EMPTY

    def _settle(self, step: Step) -> Answer | None:
        """Return the answer if the step is the last one, and note one given beside an action."""
        if self._is_empty(step):
            return None
        text = step.reading.prose if step.acts else step.message.content
        if step.acts and self.answer.kind in ("whole", "last_line"):
            return None  # any text would do as an answer; beside an action it is none
        found = self.answer.find(text)
        if step.acts:
            self.best = found or self.best
            return None
        if found is not None:
            return Answer(text=found)
        if says_terminate(text) and not strip_terminate(text):
            return self._stop("answered" if self.best else "no_answer")
        return None

    async def _act(self, step: Step, *, cut_off: bool) -> None:
        notices = phrases()["notice"]
        if step.reading.cut_off and cut_off:
            step = replace(step, reading=replace(step.reading, actions=()))
            if not step.native:
                self._say(notices["cut_off"])
                return
        if not step.acts:
            key = "empty" if self._is_empty(step) else "cut_off" if cut_off else "go_on"
            self._say(f"{notices[key]} {self.answer.instruction()}")
            return
        calls = (*step.native, *step.reading.actions)
        results = await call_all(self.workspace, calls)
        for call, result in zip(step.native, results, strict=False):
            self.messages.append(Message(role="tool", content=result.result, tool_call_id=call.id))
        shown = show_results(results[len(step.native) :])
        outcome = (step.signature, "\n".join(result.result for result in results))
        if outcome == self.last:
            shown = f"{shown}\n\n{notices['repeated']}".strip()
        self.last = outcome
        if shown:
            self._say(shown)

    def _say(self, text: str) -> None:
        self.messages.append(Message(role="user", content=text))


async def call_all(workspace: Workspace, calls: Sequence[ToolCall]) -> list[FunctionCall]:
    """Make the calls of one reply at once; results come in the order of the calls.

    Raises:
        SandboxError: As `Workspace.call_function`; the other calls are cancelled.
    """
    if len(calls) == 1:
        return [await workspace.call_function(calls[0].name, calls[0].arguments)]
    results: dict[int, FunctionCall] = {}

    async def make(indices: Sequence[int]) -> None:
        for index in indices:
            call = calls[index]
            results[index] = await workspace.call_function(call.name, call.arguments)

    blocks = [index for index, call in enumerate(calls) if call.name == PYTHON]
    others = [[index] for index, call in enumerate(calls) if call.name != PYTHON]
    try:
        async with anyio.create_task_group() as group:
            for indices in (blocks, *others):  # blocks build on one another: one by one
                group.start_soon(make, indices)
    except ExceptionGroup as group_error:
        raise _first(group_error) from None
    return [results[index] for index in range(len(calls))]


def show_results(results: Sequence[FunctionCall]) -> str:
    """Return the results of code and calls in the text, as the next message shows them."""
    if not results:
        return ""
    if len(results) == 1 and results[0].name == PYTHON:
        return f"Output:\n{results[0].result}"
    blocks = 0
    parts = []
    for result in results:
        if result.name == PYTHON:
            blocks += 1
            label = f"Output of code block {blocks}"
        else:
            label = f"Observation: {result.name} returned"
        parts.append(f"{label}:\n{result.result}")
    return "\n\n".join(parts)


def describe_tools(tools: Sequence[Tool]) -> str:
    """Return the tools as a text-only agent's prompt shows them."""
    from ..canonical import canonical_json

    parts = [
        f"- {tool.name}: {tool.description.strip()}\n"
        f"  Arguments (JSON Schema): {canonical_json(dict(tool.arguments))}"
        for tool in tools
        if tool.name != PYTHON
    ]
    return "\n".join(parts) or phrases()["notice"]["no_functions"]


def as_text(messages: Sequence[Message]) -> list[Message]:
    """Return a conversation with native calls spelt out, for a model that is offered no tools."""
    spelt: list[Message] = []
    names: Mapping[str, str] = {
        call.id: call.name for message in messages for call in message.tool_calls
    }
    for message in messages:
        if message.role == "tool":
            name = names.get(message.tool_call_id or "", "the tool")
            text = f"Observation: {name} returned:\n{message.content}"
            spelt.append(Message(role="user", content=text))
            continue
        calls = [
            f"Action: {call.name}\nAction Input: {call.arguments}" for call in message.tool_calls
        ]
        content = "\n\n".join(part for part in (message.content, *calls) if part)
        spelt.append(Message(role=message.role, content=content or EMPTY))
    return spelt


def _with_ids(calls: Sequence[ToolCall], turn: int) -> list[ToolCall]:
    """Give ids to calls that came without one, or with one used twice in the reply."""
    seen: set[str] = set()
    named = []
    for index, call in enumerate(calls):
        name = call.id if call.id and call.id not in seen else f"call_{turn}_{index}"
        seen.add(name)
        named.append(replace(call, id=name))
    return named


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
