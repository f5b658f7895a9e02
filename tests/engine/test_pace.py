"""Arms of a comparison go side by side: none runs ahead, none is held up by one that is down."""

from __future__ import annotations

import anyio
import pytest
from funcforge.engine import comparison, pace
from funcforge.engine.arm import Arm
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.comparison import Comparing
from funcforge.engine.messages import Request
from funcforge.engine.pace import Lane, Pace
from funcforge.engine.parameters import Parameters
from funcforge.engine.run import Run

from tests.doubles import ProgrammedModel, tasks
from tests.engine.runs import parts


async def begin(lane: Lane, count: int) -> None:
    for _ in range(count):
        await lane.gate()


async def test_an_arm_waits_once_it_is_too_far_ahead() -> None:
    race = Pace(ahead=3)
    fast, slow = race.lane(), race.lane()

    with anyio.move_on_after(0.05) as waiting:
        await begin(fast, 5)
    assert (waiting.cancelled_caught, fast.begun) == (True, 3)

    async with anyio.create_task_group() as group:
        group.start_soon(begin, fast, 2)
        await begin(slow, 2)
    assert (fast.begun, slow.begun) == (5, 2)


async def test_an_arm_that_has_ended_holds_nobody_up() -> None:
    race = Pace(ahead=1)
    alive, dead = race.lane(), race.lane()

    dead.leave()

    with anyio.fail_after(5):
        await begin(alive, 100)


async def test_an_arm_that_has_stalled_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STALLED_S", 0.05)
    monkeypatch.setattr(pace, "_LOOK_S", 0.01)
    race = Pace(ahead=1)
    alive, _hanging = race.lane(), race.lane()

    with anyio.fail_after(5):
        await begin(alive, 100)


async def test_a_quick_arm_stays_beside_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "AHEAD", 10)
    asked: list[str] = []

    async def answer(request: Request) -> str:
        asked.append(request.model)
        if request.model == "test/slow":
            await anyio.sleep(0.002)
        return request.messages[-1].content

    arms = tuple(
        Arm(name=name, parameters=Parameters(model=f"test/{name}")) for name in ("quick", "slow")
    )
    comparing = Comparing(tasks=tasks(100), arms=arms)
    record = RunRecord(id="run", kind="compare", name="test", config={}, seed=0)
    run = Run(record, parts(model=ProgrammedModel(answer), in_flight=4), comparing.work())

    outcome = await run.wait()

    assert outcome.status == "done", outcome.message
    lead = most = 0
    for model in asked:
        lead += 1 if model == "test/quick" else -1
        most = max(most, abs(lead))
    assert len(asked) == 200
    assert most <= 10 + 4  # as far as it may be ahead, and what is in flight
