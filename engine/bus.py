"""The event bus: every sink gets every event, in one order, with back-pressure."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import anyio
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .clock import SystemClock
from .events import Event
from .ports import Clock, EventSink

QUEUE_EVENTS = 1024
CLOSING_S = 10.0  # what a sink gets for the events still queued when the run ends


@dataclass(frozen=True, slots=True)
class _Flush:
    """Travels through a queue behind the events published before it."""

    reached: anyio.Event


class EventBus(AsyncContextManagerMixin):
    """Publishes the events of one run. Use as `async with EventBus(...) as bus`.

    Each sink has a queue of bounded length and a task that feeds it. A full queue makes the
    publisher wait, so a slow database slows the run down instead of filling the memory. A sink
    that may lose events drops them itself, in `handle`.

    Args:
        run_id: Written on every event.
        lossless: Sinks the run depends on. An error in one ends the run.
        lossy: Sinks for people. An error in one detaches it; the run goes on.
    """

    def __init__(
        self,
        run_id: str,
        *,
        lossless: Sequence[EventSink] = (),
        lossy: Sequence[EventSink] = (),
        clock: Clock | None = None,
        queue_events: int = QUEUE_EVENTS,
    ) -> None:
        self.run_id = run_id
        self.detached: list[tuple[EventSink, Exception]] = []
        self._lossless = tuple(lossless)
        self._lossy = tuple(lossy)
        self._clock = clock or SystemClock()
        self._queue_events = queue_events
        self._queues: list[MemoryObjectSendStream[Event | _Flush]] = []
        self._scopes: list[anyio.CancelScope] = []
        self._broken: Exception | None = None  # what a lossless sink raised

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with anyio.create_task_group() as pumps:
            for sink in self._lossless:
                self._attach(pumps, sink, lossless=True)
            for sink in self._lossy:
                self._attach(pumps, sink, lossless=False)
            try:
                yield self
            except Exception as error:
                if error is not self._broken:  # which the group raises anyway
                    raise
            finally:
                # closing ends each pump behind the last event, so nothing published is lost
                for queue in self._queues:
                    queue.close()
                for scope in self._scopes:
                    scope.deadline = anyio.current_time() + CLOSING_S

    def _attach(self, pumps: TaskGroup, sink: EventSink, *, lossless: bool) -> None:
        send, receive = anyio.create_memory_object_stream[Event | _Flush](self._queue_events)
        self._queues.append(send)
        pumps.start_soon(self._pump, sink, receive, lossless)

    async def publish(self, event: Event) -> None:
        """Stamp an event with run id and time and hand it to every sink's queue.

        Raises:
            Exception: What a lossless sink raised, now or earlier.
        """
        event = replace(event, run_id=self.run_id, at_unix_s=self._clock.unix_s())
        for queue in self._queues:
            await self._send(queue, event)

    async def flush(self) -> None:
        """Return when every sink has handled all that was published before.

        Raises:
            Exception: What a lossless sink raised, now or earlier.
        """
        marks = [_Flush(anyio.Event()) for _ in self._queues]
        for queue, mark in zip(self._queues, marks, strict=True):
            await self._send(queue, mark)
        for mark in marks:
            await mark.reached.wait()
        if self._broken is not None:
            raise self._broken

    async def _send(
        self, queue: MemoryObjectSendStream[Event | _Flush], item: Event | _Flush
    ) -> None:
        try:
            try:
                queue.send_nowait(item)
            except anyio.WouldBlock:
                await queue.send(item)
        except anyio.BrokenResourceError:
            if self._broken is None:
                raise
            raise self._broken from None

    async def _pump(
        self,
        sink: EventSink,
        queue: MemoryObjectReceiveStream[Event | _Flush],
        lossless: bool,
    ) -> None:
        broken = False
        # shielded: a run that is cancelled still hands on what was published
        with queue, anyio.CancelScope(shield=True) as scope:
            self._scopes.append(scope)
            async for first in queue:
                # all that is there in one turn: waking up for each costs more than most sinks do
                for event in chain((first,), _there(queue)):
                    if isinstance(event, _Flush):
                        event.reached.set()
                    elif not broken:
                        try:
                            await sink.handle(event)
                        except Exception as error:
                            if lossless:
                                self._broken = self._broken or error
                                _release(queue)
                                raise
                            self.detached.append((sink, error))
                            broken = True


def _there(queue: MemoryObjectReceiveStream[Event | _Flush]) -> Iterator[Event | _Flush]:
    """Yield what can be had without waiting."""
    while True:
        try:
            yield queue.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return


def _release(queue: MemoryObjectReceiveStream[Event | _Flush]) -> None:
    """Let go whoever waits for a queue that nobody reads any more."""
    for item in _there(queue):
        if isinstance(item, _Flush):
            item.reached.set()


class EventStream:
    """A sink that an application iterates over. Lossless: a slow reader slows the run down."""

    def __init__(self, queue_events: int = QUEUE_EVENTS) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Event](queue_events)

    async def handle(self, event: Event) -> None:
        """Queue an event for the reader; after the reader left, drop it."""
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    def end(self) -> None:
        """End the iteration behind the last event."""
        self._send.close()

    def close(self) -> None:
        """End it at once; events that were not read are dropped."""
        self._send.close()
        self._receive.close()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._receive.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._receive.close()
            raise StopAsyncIteration from None
