"""Do our agents take the turns of real dialogues, and do our scorers give their verdicts?

Plays the recorded assistant messages as the model: every request gets the next recorded reply,
every call the recorded result. Run: `python -m benchmarks.recorded_dialogues [EPISODES.jsonl.gz]`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funcforge.engine.agent import Agent
from funcforge.engine.episode import FunctionCall
from funcforge.engine.messages import Message, Reply, Tool, ToolCall
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import AgentLimits, Answer
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage

EPISODES = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "recorded_math" / "episodes.jsonl.gz"
)
_VERDICT = "The result is Correct. Please reply me with TERMINATE."
_PYTHON = Tool(name="python", description="Runs code.", arguments={"type": "object"})


class ScriptEndedError(Exception):
    """The agent asked for more turns than were recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What an agent made of one dialogue."""

    row: Mapping[str, Any]
    turns: int  # model calls
    recorded_turns: int
    answer: str | None
    end: str

    @property
    def same_turns(self) -> bool:
        """Whether the agent stopped where the recorded one did."""
        return self.turns == self.recorded_turns

    @property
    def same_answer(self) -> bool:
        """Whether the agent reached the recorded last boxed answer."""
        return (self.answer or None) == ((self.row["last_boxed"] or "").strip() or None)


class RecordedWorkspace:
    """The `Workspace` of one recorded dialogue."""

    def __init__(self, row: Mapping[str, Any], *, turns: int = 16) -> None:
        self.parameters = Parameters()
        self.limits = AgentLimits(turns=turns, tokens=10**9)
        self.turns = 0
        self.calls: list[FunctionCall] = []
        self._steps = list(_steps(row["messages"]))
        names = {call["name"] for message, _ in self._steps for call in _calls(message)}
        self._tools = (
            *(Tool(name=n, description="", arguments={}) for n in sorted(names)),
            _PYTHON,
        )
        self._results: list[str] = []

    @property
    def recorded_turns(self) -> int:
        """Model calls up to the answer that was judged."""
        return len(self._steps)

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        tool_choice: str = "auto",
        stop: Sequence[str] = (),
    ) -> Reply:
        """Return the next recorded reply."""
        if self.turns == len(self._steps):
            raise ScriptEndedError
        message, self._results = self._steps[self.turns]
        self.turns += 1
        calls = tuple(ToolCall(**call) for call in _calls(message))
        reply = Message(role="assistant", content=message["content"] or "", tool_calls=calls)
        return Reply(message=reply, finish="stop", usage=Usage(calls=1))

    async def call_function(self, name: str, arguments: str) -> FunctionCall:
        """Return the recorded result."""
        result = self._results.pop(0) if self._results else ""
        call = FunctionCall(name=name, arguments=arguments, outcome="value", result=result)
        self.calls.append(call)
        return call

    def tools(self) -> tuple[Tool, ...]:
        """Return every tool that is called in the dialogue."""
        return self._tools

    def record(self, messages: Sequence[Message]) -> None:
        """Forget it: nobody asks."""


def episodes(path: Path = EPISODES) -> Iterator[dict[str, Any]]:
    """Read the recorded dialogues."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


async def play(row: Mapping[str, Any], make_agent: Callable[[], Agent]) -> Play:
    """Play one dialogue. A dialogue that ended in a provider's error has no more turns."""
    workspace = RecordedWorkspace(row)
    task = Task(id=f"{row['run']}/{row['phase']}/{row['index']}", prompt=row["problem"])
    turns = 0
    try:
        answer = await make_agent()(task, workspace)
        turns = workspace.turns
    except ScriptEndedError:
        answer = Answer(text=None, end="script_ended")
        turns = workspace.turns + (row["end"] != "bad_request")
    return Play(
        row=row,
        turns=turns,
        recorded_turns=workspace.recorded_turns,
        answer=answer.text,
        end=answer.end,
    )


def _steps(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    """Yield each assistant message up to the verdict, with the results that followed it."""
    for at, message in enumerate(messages):
        if message["role"] == "user" and message["content"] == _VERDICT:
            return
        if message["role"] == "assistant":
            results = []
            for later in messages[at + 1 :]:
                if later["role"] == "assistant":
                    break
                results.append(later["content"] or "")
            yield message, results


def _calls(message: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    return message.get("tool_calls") or ()
