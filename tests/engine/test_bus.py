from __future__ import annotations

import anyio
import pytest
from funcforge.engine.bus import EventBus, EventStream
from funcforge.engine.events import Event, StepStarted


def event(step: int) -> StepStarted:
    return StepStarted(run_id="", step=step, incumbent_version="v")


class Keeper:
    def __init__(self) -> None:
        self.steps: list[int] = []

    async def handle(self, event: Event) -> None:
        assert isinstance(event, StepStarted)
        self.steps.append(event.step)


class Gate(Keeper):
    """Handles nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = anyio.Event()

    async def handle(self, event: Event) -> None:
        await self.open.wait()
        await super().handle(event)


class Broken:
    async def handle(self, event: Event) -> None:
        raise ValueError("broken sink")


async def test_every_sink_gets_every_event_in_one_order() -> None:
    sinks = Keeper(), Keeper()

    async with EventBus("r", lossless=[sinks[0]], lossy=[sinks[1]]) as bus:
        for step in range(5):
            await bus.publish(event(step))

    assert sinks[0].steps == sinks[1].steps == [0, 1, 2, 3, 4]


async def test_an_event_carries_the_run_and_the_time() -> None:
    stream = EventStream()

    async with EventBus("run-7", lossless=[stream]) as bus:
        await bus.publish(event(1))
        got = await anext(stream)
    stream.close()

    assert got.run_id == "run-7"
    assert got.at_unix_s > 1.7e9


async def test_a_slow_lossless_sink_makes_the_publisher_wait() -> None:
    gate = Gate()
    published: list[int] = []

    async def publish(bus: EventBus) -> None:
        for step in range(10):
            await bus.publish(event(step))
            published.append(step)

    async with (
        EventBus("r", lossless=[gate], queue_events=3) as bus,
        anyio.create_task_group() as group,
    ):
        group.start_soon(publish, bus)
        await anyio.wait_all_tasks_blocked()
        held = len(published)
        gate.open.set()

    assert held == 4  # three queued, one in the sink's hands
    assert gate.steps == list(range(10))


async def test_flush_returns_behind_everything_published_before() -> None:
    keeper = Keeper()

    async with EventBus("r", lossless=[keeper]) as bus:
        await bus.publish(event(1))
        await bus.flush()
        assert keeper.steps == [1]


async def test_a_broken_lossless_sink_ends_the_run() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="broken sink")):
        async with EventBus("r", lossless=[Broken()]) as bus:
            await bus.publish(event(1))
            await bus.flush()


async def test_a_broken_screen_is_detached_and_the_run_goes_on() -> None:
    keeper, broken = Keeper(), Broken()

    async with EventBus("r", lossless=[keeper], lossy=[broken]) as bus:
        await bus.publish(event(1))
        await bus.publish(event(2))
        await bus.flush()

    assert keeper.steps == [1, 2]
    assert [sink for sink, _ in bus.detached] == [broken]
