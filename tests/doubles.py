"""Doubles of the engine's ports for tests of the engine itself: fakes with behaviour, no mocks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from funcforge.engine.agent import Workspace
from funcforge.engine.episode import Episode, Score
from funcforge.engine.functions import Function
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.optimizer import Proposal, Situation, State, Workbench
from funcforge.engine.parameters import Edit
from funcforge.engine.ports import Answer, CallResult, ModelFacts
from funcforge.engine.tasks import ListTaskSet, Task
from funcforge.engine.usage import Usage


class ProgrammedModel:
    """A model that is a Python callable; keeps a ledger of what it was asked."""

    def __init__(self, answer: Callable[[Request], Awaitable[str]] | None = None) -> None:
        self.ledger: list[Request] = []
        self._answer = answer or self._echo

    async def _echo(self, request: Request) -> str:
        return request.messages[-1].content

    def describe(self, model: str) -> ModelFacts:
        return ModelFacts(
            context_tokens=8_000,
            max_output_tokens=1_000,
            prompt_pusd=1_000_000,
            completion_pusd=2_000_000,
            account="programmed",
        )

    async def complete(self, request: Request) -> Reply:
        self.ledger.append(request)
        text = await self._answer(request)
        usage = Usage(
            calls=1, prompt_tokens=10, completion_tokens=5, cost_pusd=10 * 1_000_000 + 5 * 2_000_000
        )
        return Reply(message=Message(role="assistant", content=text), finish="stop", usage=usage)


class _TableInterpreter:
    async def run(self, code: str) -> CallResult:
        return CallResult(outcome="value", value=code)


class TableSandbox:
    """Runs nothing: a function's result is what the test's table says for its name."""

    def __init__(self, table: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self._table = dict(table or {})

    async def check(self, function: Function) -> CallResult:
        return CallResult(outcome="value")

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        return CallResult(outcome="value", value=self._table[function.name](**arguments))

    @asynccontextmanager
    async def interpreter(
        self, *, functions: Sequence[Function] = (), files: Mapping[str, str] | None = None
    ) -> AsyncGenerator[_TableInterpreter]:
        yield _TableInterpreter()


def function(name: str, code: str | None = None) -> Function:
    """A function without arguments."""
    return Function(
        name=name,
        description=f"does {name}",
        arguments={"type": "object", "properties": {}},
        code=code or f"def {name}():\n    return 1\n",
    )


def tasks(count: int, kinds: Sequence[str] = ("a", "b", "c")) -> ListTaskSet:
    """Tasks whose target is their kind."""
    return ListTaskSet(
        [
            Task(id=f"t{n:03d}", prompt=f"task {n} of kind {kinds[n % len(kinds)]}",
                 target=kinds[n % len(kinds)])
            for n in range(count)
        ]
    )  # fmt: skip


async def skilled_agent(task: Task, workspace: Workspace) -> Answer:
    """Asks its model once, then knows the answer if it has a function `solve_KIND`."""
    reply = await workspace.complete([Message(role="user", content=task.prompt)])
    kind = reply.message.content.rsplit(" ", 1)[-1]
    known = workspace.parameters.function(f"solve_{kind}") is not None
    return Answer(text=kind if known else "?")


async def exact(task: Task, episode: Episode) -> Score:
    """1 for the target, 0 for anything else."""
    return Score(value=float(episode.answer == task.target))


class ScriptedOptimizer:
    """Proposes the edits of a script, one entry per step, then nothing; asks its model first."""

    def __init__(self, script: Sequence[Sequence[Edit]]) -> None:
        self.seen: list[Situation] = []
        self._script = script

    def init(self) -> State:
        return {"next": 0}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        self.seen.append(situation)
        number = int(state["next"])
        await workbench.complete(
            Request(
                model="test/optimizer",
                messages=(Message(role="user", content=f"propose {number}"),),
                max_tokens=100,
            )
        )
        edits = self._script[number] if number < len(self._script) else ()
        return Proposal(edits=tuple(edits), state={"next": number + 1})
