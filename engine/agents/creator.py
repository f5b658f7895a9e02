"""A baseline that learns nothing: makes a tool for each question, uses it, repairs it.

Source: Qian et al., "CREATOR: Tool Creation for Disentangling Abstract and Concrete Reasoning",
arXiv 2305.14318, section 3: creation, decision, execution, rectification. We differ: no worked
examples in the prompt, and at most three rectifications, as the AgentOptimizer paper's setting.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from ..agent import Workspace
from ..episode import FunctionCall
from ..errors import ConfigError, RequestRefused
from ..messages import Message
from ..ports import Answer
from ..tasks import Task
from .actions import read_actions
from .answers import AnswerFormat
from .dialogue import EMPTY, PYTHON
from .settings import DialogueSettings
from .template import check_prompt, fill, read_prompt

PLACEHOLDERS = ("answer_format", "instructions")
REPAIRS = 3


class CreatorAgent:
    """Creates a tool per question. Learned functions and demonstrations are not used.

    Raises:
        ConfigError: On construction: the prompt lacks a placeholder, the answer format is none.
            On the first task: there is no interpreter.
    """

    def __init__(self, settings: DialogueSettings | None = None, *, repairs: int = REPAIRS) -> None:
        settings = settings or DialogueSettings()
        prompt = settings.prompt or read_prompt("creator.md")
        self._prompt = check_prompt(prompt, PLACEHOLDERS, file=settings.prompt_file)
        self._answer = AnswerFormat.parse(settings.answer)
        self._repairs = repairs

    async def __call__(self, task: Task, workspace: Workspace) -> Answer:
        """Solve one task."""
        if PYTHON not in {tool.name for tool in workspace.tools()}:
            raise ConfigError("the creator agent needs the interpreter", key="agent.python")
        values = {
            "answer_format": self._answer.instruction(),
            "instructions": workspace.parameters.instructions,
        }
        talk = _Talk(workspace, [Message(role="system", content=fill(self._prompt, values))])
        try:
            found = await self._solve(task, talk)
        except _Stopped as stop:
            found = Answer(text=None, end=stop.end)
        workspace.record(talk.messages)
        return found

    async def _solve(self, task: Task, talk: _Talk) -> Answer:
        tool = await talk.ask("create", {"task": task.prompt})
        use = await talk.ask("decide", {})
        early = self._answer.find(talk.last)
        if use is None and early is not None:
            return Answer(text=early)  # it needs no tool after all
        result = await talk.run(
            "\n\n".join(code for code in (tool, use) if code), complete=bool(use)
        )
        for _ in range(self._repairs):
            if result.outcome == "value":
                break
            both = await talk.ask("repair", {"result": result.result})
            result = await talk.run(both or "", complete=True)
        values = {"result": result.result, "answer_format": self._answer.instruction()}
        await talk.ask("answer", values)
        answer = self._answer.find(talk.last)
        return Answer(text=answer, end="answered" if answer is not None else "no_answer")


class _Stopped(Exception):
    """A limit of the episode was reached."""

    def __init__(self, end: str) -> None:
        super().__init__(end)
        self.end = end


@dataclass(slots=True)
class _Talk:
    """The conversation, within the episode's limits."""

    workspace: Workspace
    messages: list[Message]
    turns: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)

    @property
    def last(self) -> str:
        """What the model said last."""
        return self.messages[-1].content

    async def ask(self, stage: str, values: Mapping[str, str]) -> str | None:
        """Open the next stage; return the code of the reply, all blocks in one, or None.

        Raises:
            _Stopped: A limit is reached.
            ModelError, BudgetExhausted: There is no reply.
        """
        limits = self.workspace.limits
        if self.turns >= limits.turns:
            raise _Stopped("turns")
        if self.tokens >= limits.tokens:
            raise _Stopped("tokens")
        self.messages.append(Message(role="user", content=fill(stages()[stage], values)))
        try:
            reply = await self.workspace.complete(self.messages)
        except RequestRefused as error:
            if error.kind == "context_too_long" and self.turns > 0:
                raise _Stopped("tokens") from error
            raise
        self.turns += 1
        self.tokens += reply.usage.tokens
        content = reply.message.content if reply.message.content.strip() else EMPTY
        self.messages.append(replace(reply.message, content=content, tool_calls=()))
        reading = read_actions(content, python=True)
        if reading.cut_off and reply.finish == "length":
            return None  # half a block is no code
        blocks = [_code(call.arguments) for call in reading.actions if call.name == PYTHON]
        return "\n\n".join(blocks) or None

    async def run(self, code: str, *, complete: bool) -> FunctionCall:
        """Run tool and call together. Nothing to run, and nothing printed, is a failure as well.

        Raises:
            SandboxError: The sandbox failed.
        """
        if not code or not complete:
            return _failed(stages()["no_code"])
        arguments = json.dumps({"code": code}, ensure_ascii=False)
        call = await self.workspace.call_function(PYTHON, arguments)
        if call.outcome == "value" and call.result.strip() in ("", "null"):
            return _failed(stages()["no_output"])
        return call


def _code(arguments: str) -> str:
    """Return the code of a call of the interpreter, which may be bare."""
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return str(values.get("code", "")) if isinstance(values, dict) else arguments


def _failed(why: str) -> FunctionCall:
    return FunctionCall(name=PYTHON, arguments="", outcome="refused", result=why)


@cache
def stages() -> Mapping[str, str]:
    """Return what the agent says at each stage."""
    return tomllib.loads(read_prompt("creator.toml"))
