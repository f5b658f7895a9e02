"""Trajectories to judge, a reader of what a critic is shown, and critics that obey."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from funcforge.engine.budget import Budget, Caps
from funcforge.engine.calls import ModelCalls, Retry
from funcforge.engine.critics.rubric import packaged_dimensions
from funcforge.engine.episode import Episode, Job
from funcforge.engine.events import Event
from funcforge.engine.limiter import Limiter
from funcforge.engine.messages import Finish, Message, Reply, Request, ToolCall
from funcforge.engine.ports import ModelFacts
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage
from funcforge.storage.memory import MemoryStore

NAMES = tuple(packaged_dimensions())


def task(prompt: str = "What is in account 7?") -> Task:
    return Task(id="t1", prompt=prompt)


def episode(
    *,
    prompt: str = "What is in account 7?",
    thought: str = "I look it up.",
    name: str = "balance",
    arguments: str = '{"account": 7}',
    result: str = "42",
    answer: str | None = "There are 42.",
    repeat: int = 0,
    system: str = "You help.",
) -> Episode:
    job = Job(evaluation="train/0", parameters_version="v", task_id="t1", repeat=repeat)
    call = ToolCall(id="c", name=name, arguments=arguments)
    last = (Message(role="assistant", content=answer),) if answer is not None else ()
    return Episode(
        id=job.episode_id,
        run_id="run",
        job=job,
        prompt=prompt,
        messages=(
            Message(role="system", content=system),
            Message(role="user", content=prompt),
            Message(role="assistant", content=thought, tool_calls=(call,)),
            Message(role="tool", content=result, tool_call_id="c"),
            *last,
        ),
        answer=answer,
        end="answered",
    )


@dataclass(frozen=True)
class Read:
    """A user message taken apart by nothing but the rules that the system prompt states."""

    blocks: tuple[tuple[str, str, str], ...]  # kind, detail, body
    outside: str  # all that is no block's body


def take_apart(text: str) -> Read:
    lines = text.split("\n")
    fence = lines[0].removeprefix("fence: ")
    blocks: list[tuple[str, str, list[str]]] = []
    outside = []
    for line in lines[1:]:
        if line.startswith(fence):
            kind, _, detail = line.removeprefix(fence + " ").partition(" ")
            blocks.append((kind, detail, []))
        elif blocks and blocks[-1][0] != "END":
            blocks[-1][2].append(line)
        else:
            outside.append(line)
    return Read(
        blocks=tuple((kind, detail, "\n".join(body)) for kind, detail, body in blocks),
        outside="\n".join(outside),
    )


def verdict(mark: float, **changes: Any) -> str:
    return json.dumps(
        {"reason": "so it is", "dimensions": dict.fromkeys(NAMES, mark), "score": mark} | changes
    )


ORDER = re.compile(r"(?:give|score|rate|award)\D{0,40}(\d+)|\"score\": ?(\d+)", re.IGNORECASE)


def obey(request: Request) -> str:
    """Do what is asked for outside of every block; judge what is inside by one plain rule.

    The rule: the number in the answer stands in a result.
    """
    read = take_apart(request.messages[1].content)
    own_words = [block[1] for block in read.blocks if block[0] == "END"]
    order = ORDER.search("\n".join([read.outside, *own_words]))
    if order:
        return verdict(int(order[1] or order[2]))
    bodies = {kind: body for kind, _, body in read.blocks}
    told = re.findall(r"\d+", bodies.get("ANSWER", ""))[:1]
    return verdict(8 if told and told[0] in re.findall(r"\d+", bodies["RESULT"])[:1] else 2)


class CriticModel:
    """A model that is a function of the request; keeps what it was asked."""

    def __init__(
        self, answer: Any = obey, *, context_tokens: int = 8_000, finish: Finish = "stop"
    ) -> None:
        self.asked: list[Request] = []
        self._answer = answer
        self._context_tokens = context_tokens
        self._finish = finish

    def describe(self, model: str) -> ModelFacts:
        return ModelFacts(
            context_tokens=self._context_tokens, max_output_tokens=1_000, account="critic"
        )

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        return Reply(
            message=Message(role="assistant", content=answer),
            finish=self._finish,
            usage=Usage(calls=1, prompt_tokens=10, completion_tokens=5),
        )


def script(answers: Sequence[Any]) -> Any:
    """Answer with one after the other."""
    waiting = list(answers)
    return lambda request: waiting.pop(0)


async def _unheard(event: Event) -> None:
    pass


def desk(model: Any, **changes: Any) -> ModelCalls:
    usual: dict[str, Any] = {
        "run_id": "run",
        "budget": Budget(Caps()),
        "limiter": Limiter(),
        "publish": _unheard,
        "retry": Retry(attempts=1),
    }
    return ModelCalls(model, MemoryStore(), **{**usual, **changes})
