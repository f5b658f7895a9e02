"""A brain that answers from recorded dialogues: what real models wrote, behind a real provider.

As agent it finds the recorded dialogues of the problem that it is asked, takes the one that suits
the tools it is offered, and says that dialogue's next message, whatever came of the last one. As
optimizer it proposes the recorded actions, one epoch of the record to a step.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funcforge.engine.messages import ToolCall

from tests.loopback.brains import chance, is_optimizer
from tests.loopback.wire import Ask, Say, call, calls, text

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "recorded_math"
_VERDICT = "The result is Correct. Please reply me with TERMINATE."


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One recorded dialogue: what the model said, up to where the answer was judged."""

    problem: str
    target: str
    phase: str  # direct, train or test
    learned: bool  # whether the agent had learned functions
    said: tuple[Say, ...]

    @property
    def names(self) -> frozenset[str]:
        """The functions that it calls."""
        return frozenset(made.name for say in self.said for made in say.calls)


class Transcripts:
    """The brain.

    Args:
        dialogues: All that is known of the problems.
        proposals: The optimizer's calls, a list for each step.
    """

    def __init__(
        self, dialogues: Sequence[Transcript], proposals: Sequence[Sequence[ToolCall]] = ()
    ) -> None:
        self._dialogues: dict[str, list[Transcript]] = {}
        for one in dialogues:
            self._dialogues.setdefault(one.problem, []).append(one)
        self._proposals = [list(step) for step in proposals]
        self._step = -1
        self.unknown: list[str] = []  # questions that no dialogue is about

    def __call__(self, ask: Ask) -> Say:
        """Answer."""
        return self._propose(ask) if is_optimizer(ask) else self._act(ask)

    def _propose(self, ask: Ask) -> Say:
        if len(ask.messages) == 2 and " ACTION next=1 " in ask.question:
            self._step += 1  # nothing refused yet and nothing applied: a step begins
        if not 0 <= self._step < len(self._proposals) or not self._proposals[self._step]:
            return calls(call("terminate", {"reason": "the record of this step ends"}))
        return calls(self._proposals[self._step].pop(0))

    def _act(self, ask: Ask) -> Say:
        question = next((m.content for m in ask.messages if m.content in self._dialogues), None)
        if question is None:
            self.unknown.append(ask.question)
            return text("I do not know this problem.")
        offered = frozenset(tool.name for tool in ask.tools) - {"python"}
        told = self._choose(self._dialogues[question], offered).said
        turn = sum(message.role == "assistant" for message in ask.messages)
        return told[min(turn, len(told) - 1)]

    def _choose(self, known: Sequence[Transcript], offered: frozenset[str]) -> Transcript:
        """Take a dialogue that calls what is offered; else one that calls nothing else."""
        callable_ = [one for one in known if one.names <= offered]
        calling = [one for one in callable_ if one.names]
        choice = calling or [one for one in callable_ if one.learned == bool(offered)] or known
        return choice[int(chance(choice[0].problem, *sorted(offered)) * len(choice))]


def read_transcripts(
    kind: str, *, phases: Sequence[str] = ("direct", "train", "test")
) -> list[Transcript]:
    """Read all recorded dialogues about one type of problem, such as "algebra"."""
    return [
        Transcript(
            problem=row["problem"],
            target=row["answer"],
            phase=row["phase"],
            learned=row["phase"] != "direct" and row["epoch"] != 0,
            said=tuple(_said(row["messages"])),
        )
        for row in _rows("episodes")
        if row["type"] == kind
    ]


def read_proposals(run: str) -> list[list[ToolCall]]:
    """Read the optimizer's calls of one recorded run, an epoch to a step."""
    steps: dict[int, list[ToolCall]] = {}
    for row in _rows("actions"):
        if row["run"] == run:
            made = call(row["name"], row["arguments_raw"])
            steps.setdefault(row["epoch"], []).append(made)
    return [steps[epoch] for epoch in sorted(steps)]


def write_tasks(folder: Path, transcripts: Sequence[Transcript]) -> tuple[Path, Path]:
    """Write the problems that upstream trained on and those that it tested on, as JSON lines.

    One problem of the record has an empty answer: nobody can judge it, so it is left out.
    """
    paths = folder / "train.jsonl", folder / "test.jsonl"
    for path, phase in zip(paths, ("train", "test"), strict=True):
        targets = {
            t.problem: t.target
            for t in transcripts
            if t.target and (t.phase == "train") == (phase == "train")
        }
        rows = [
            json.dumps({"id": f"{phase}{at:03d}", "prompt": problem, "target": target})
            for at, (problem, target) in enumerate(targets.items())
        ]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return paths


def _rows(name: str) -> Iterator[Mapping[str, Any]]:
    with gzip.open(RECORDED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _said(messages: Sequence[Mapping[str, Any]]) -> Iterator[Say]:
    for message in messages:
        if message["role"] == "user" and message["content"] == _VERDICT:
            return
        if message["role"] == "assistant":
            made = tuple(
                ToolCall(id=one["id"], name=one["name"], arguments=one["arguments"])
                for one in message.get("tool_calls") or ()
            )
            yield Say(content=message["content"] or "", calls=made)
