"""Do our agents take the turns of real dialogues, and does our MATH scorer give their verdicts?

Plays the recorded assistant messages as the model: every request gets the next recorded reply,
every call the recorded result. Run: `python -m benchmarks.recorded_dialogues [EPISODES.jsonl.gz]`;
writes `benchmarks/results/scoring_conformance.md`.
"""

from __future__ import annotations

import datetime
import gzip
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from funcforge.adapters.scorers.math import MathScorer
from funcforge.engine.agent import Agent
from funcforge.engine.agents.react import ReactAgent
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.episode import FunctionCall
from funcforge.engine.messages import Message, Reply, Tool, ToolCall
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import AgentLimits, Answer
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage

EPISODES = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "recorded_math" / "episodes.jsonl.gz"
)
RESULTS = Path(__file__).parent / "results" / "scoring_conformance.md"
_SHOWN = 90  # characters of an answer in the results file
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


@dataclass(slots=True, kw_only=True)
class Pair:
    """A target and an answer, with the dialogues that ended so."""

    target: str
    answer: str
    printed: bool  # upstream's verdict
    ours: bool = False
    dialogues: list[str] = field(default_factory=list)


async def judge(rows: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """Score the last boxed answer of every dialogue that has one, each pair once."""
    pairs: dict[tuple[str, str], Pair] = {}
    for row in rows:
        if row["last_boxed"] is None:
            continue
        key = (row["answer"], row["last_boxed"])
        pair = pairs.setdefault(
            key, Pair(target=key[0], answer=key[1], printed=bool(row["is_correct"]))
        )
        assert pair.printed == row["is_correct"], f"upstream contradicts itself: {key}"
        pair.dialogues.append(name_of(row))
    async with MathScorer() as scorer:
        for pair in pairs.values():
            pair.ours, _ = await scorer.compare(pair.target, pair.answer)
    return list(pairs.values())


def name_of(row: Mapping[str, Any]) -> str:
    """Return where a dialogue is found: run, phase, epoch and index."""
    epoch = "" if row["epoch"] is None else f"{row['epoch']}/"
    return f"{row['run']}/{row['phase']}/{epoch}{row['index']}"


def report(
    rows: Sequence[Mapping[str, Any]], plays: Mapping[str, Sequence[Play]], pairs: Sequence[Pair]
) -> str:
    """Return the results file."""
    looser = [pair for pair in pairs if pair.ours and not pair.printed]
    stricter = [pair for pair in pairs if pair.printed and not pair.ours]
    judged = sum(len(pair.dialogues) for pair in pairs)
    differ = sum(len(pair.dialogues) for pair in (*looser, *stricter))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    lines = [
        "# Recorded dialogues: verdicts and turns",
        "",
        f"{datetime.date.today()}, Python {platform.python_version()}, {machine}. "
        "Made by `python -m benchmarks.recorded_dialogues`.",
        "",
        "## Verdicts of the MATH scorer",
        "",
        f"{len(rows):,} dialogues, {judged:,} with a boxed answer, {len(pairs):,} different pairs "
        "of target and answer.",
        "",
        f"- Same verdict as upstream printed: {judged - differ:,} dialogues.",
        f"- Right for upstream, wrong for us: {sum(len(p.dialogues) for p in stricter)}.",
        f"- Wrong for upstream, right for us: {sum(len(p.dialogues) for p in looser)} dialogues, "
        f"{len(looser)} pairs, listed below. Upstream compares texts exactly.",
        "",
        "Targets that upstream holds as numbers lost the underscore of a base: 1101_4 became "
        "11014.0. One target is empty there; its dialogues cannot be judged by anybody.",
        "",
        "| target | answer | dialogues | which |",
        "| --- | --- | --- | --- |",
    ]
    for pair in sorted((*stricter, *looser), key=lambda p: (p.target, p.answer)):
        which = ", ".join(pair.dialogues)
        lines.append(
            f"| {_code(pair.target)} | {_code(pair.answer)} | {len(pair.dialogues)} | {which} |"
        )
    lines += ["", "## Turns and answers of the agents", ""]
    for name, played in plays.items():
        turns = sum(play.same_turns for play in played)
        answers = sum(play.same_answer for play in played)
        lines.append(
            f"- {name}: same turns in {turns:,} ({turns / len(played):.2%}), recorded last boxed "
            f"answer in {answers:,} ({answers / len(played):.2%})."
        )
    lines += ["", "The rest, one by one:", ""]
    lines += [
        "| agent | dialogue | turns (recorded) | answer (recorded) | why |",
        "|" + " --- |" * 5,
    ]
    for name, played in plays.items():
        for each in played:
            if not (each.same_turns and each.same_answer):
                lines.append(
                    f"| {name} | {name_of(each.row)} | {each.turns} ({each.recorded_turns}) | "
                    f"{_code(each.answer)} ({_code(each.row['last_boxed'])}) | {_why(each)} |"
                )
    return "\n".join(lines) + "\n"


def _why(each: Play) -> str:
    if each.end == "repetition":
        return "the same reply three times in a row ends our episode"
    if each.end == "turns":
        return "answer given beside code, and the turns ran out: we keep it, upstream does not"
    return each.end


def _code(text: str | None) -> str:
    if not text:
        return "none"
    short = " ".join(text.split())
    short = short if len(short) <= _SHOWN else short[: _SHOWN - 3] + "..."
    return "`" + short.replace("|", "\\|") + "`"


async def main(path: Path) -> None:
    """Play and judge all dialogues of a file, and write the results."""
    rows = list(episodes(path))
    plays: dict[str, list[Play]] = {}
    for make in (ToolCallingAgent, ReactAgent):
        plays[make.__name__] = [await play(row, make) for row in rows]
    text = report(rows, plays, await judge(rows))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text, encoding="utf-8")
    sys.stderr.write(f"wrote {RESULTS}\n")


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]) if len(sys.argv) > 1 else EPISODES)
