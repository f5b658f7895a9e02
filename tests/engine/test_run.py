from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from funcforge.engine.errors import StoreError
from funcforge.engine.events import EpisodeFinished, Event, StepDecided
from funcforge.engine.messages import Request
from funcforge.engine.parameters import AddFunction
from funcforge.engine.run import Run
from funcforge.engine.tasks import Splits

from tests.doubles import ProgrammedModel, function, tasks
from tests.engine.runs import parts, training_run
from tests.simulation.loop import VirtualLoop

A = AddFunction(function=function("solve_a"))


class FullDisk:
    """A lossless sink that fails at the n-th event of a kind, and from then on."""

    def __init__(self, kind: type[Event], number: int) -> None:
        self._kind = kind
        self._left = number

    async def handle(self, event: Event) -> None:
        self._left -= isinstance(event, self._kind)
        if self._left <= 0:
            raise StoreError("runs.db: the disk is full. Free some space", path="runs.db")


@pytest.mark.parametrize("kind", [EpisodeFinished, StepDecided])
async def test_a_failing_sink_ends_the_run_at_once_with_its_reason(kind: type[Event]) -> None:
    run = training_run(Splits(train=tasks(6)), [[A]], parts=parts(), sinks=[FullDisk(kind, 1)])

    with anyio.fail_after(2):
        outcome = await run.wait()

    assert (outcome.status, outcome.stopped_by) == ("failed", "error")
    assert "the disk is full" in outcome.message
    assert isinstance(outcome.error, StoreError)


async def test_a_stop_while_the_optimizer_works_ends_the_run_before_the_next_step() -> None:
    asked: list[str] = []
    runs: list[Run[Any]] = []

    async def answer(request: Request) -> str:
        if request.model == "test/optimizer":
            asked.append(request.messages[-1].content)
            runs[0].stop()
        return request.messages[-1].content

    nothing: Sequence[Sequence[AddFunction]] = [[], [], []]
    runs.append(
        training_run(Splits(train=tasks(6)), nothing, parts=parts(model=ProgrammedModel(answer)))
    )

    outcome = await runs[0].wait()

    assert outcome.status == "interrupted"
    assert asked == ["propose 0"]


class SlowReader:
    """A lossless sink that takes its time for each event."""

    async def handle(self, event: Event) -> None:
        await anyio.sleep(6)


def test_a_run_waits_for_its_slowest_sink_before_it_tells_how_it_ended() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        run = training_run(Splits(train=tasks(30)), [[A]], parts=parts(), sinks=[SlowReader()])
        outcome = runner.run(run.wait())  # type: ignore[arg-type]

    assert outcome.status == "done"
