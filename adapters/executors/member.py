"""The driver's view of one worker: what it was given, and the calls it asks leave for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from ...engine.calls import ModelCalls
from ...engine.episode import Episode, Job
from ...engine.errors import ConfigError
from ...engine.messages import Reply, Request
from ...engine.parameters import Parameters
from ...engine.scope import Place
from ...engine.tasks import Task
from . import wire
from .said import Heard
from .strands import Strands
from .wire import BEAT_S, Packed


class WorkerGone(Exception):
    """The worker ended while something of it was awaited. Never leaves this folder."""


class Link(Protocol):
    """The way to one worker. What comes from it goes to its member's `receive`, then `lose`."""

    def send(self, message: Packed) -> None:
        """Hand a message over, in order.

        Raises:
            ConfigError: It holds something that cannot be sent.
        """
        ...

    async def aclose(self) -> None:
        """End the worker, politely at first. Safe under cancellation."""
        ...


@dataclass(slots=True, eq=False)
class _Assignment:
    """An episode that the worker has in hand."""

    calls: ModelCalls
    again: bool  # whether a worker that is gone may have asked its calls before
    ended: asyncio.Future[Packed]
    heard: Heard = field(default_factory=Heard)


class Member:
    """One worker of a crew.

    Args:
        strands: Where its calls are served.
    """

    def __init__(self, name: str, strands: Strands) -> None:
        self.name = name
        self.ready = anyio.Event()  # or unable, or gone
        self.over = anyio.Event()  # gone
        self.error: Exception | None = None  # why it could not start
        self.gone: str | None = None  # how it ended
        self.hangs = False  # its process is there, but does not answer: only killing ends it
        self.settled = anyio.Event()  # gone, and nothing of it is still being committed
        self.link: Link | None = None
        self._strands = strands
        self._heard = False
        self._next = 0
        self._running: dict[int, _Assignment] = {}
        self._calls: dict[int, _Call] = {}
        self._versions: set[str] = set()

    @property
    def busy(self) -> int:
        """Episodes in hand."""
        return len(self._running)

    async def run(
        self, calls: ModelCalls, job: Job, task: Task, parameters: Parameters, *, again: bool
    ) -> Episode:
        """Have an episode run.

        Raises:
            WorkerGone: It ended before the episode did.
            ConfigError: The task holds something that cannot be sent.
            FuncforgeError: What ends the run.
        """
        if self.gone is not None:
            raise WorkerGone
        version = parameters.version
        if version not in self._versions:
            self.send(("parameters", version, parameters.to_json()))
            self._versions.add(version)
        number = self._next
        self._next += 1
        try:
            self.send(("run", number, wire.job_out(job), wire.task_out(task), version))
        except ConfigError as error:
            raise ConfigError(f"task {task.id}: {error}") from error
        assignment = _Assignment(calls, again, asyncio.get_running_loop().create_future())
        self._running[number] = assignment
        try:
            packed = await assignment.ended
        except WorkerGone:
            raise
        except BaseException:
            if not assignment.ended.done() or assignment.ended.cancelled():
                self._abandon(number, assignment)
            raise
        finally:
            del self._running[number]
        return wire.episode_in(packed, assignment.heard, calls.run_id, job, task)

    def send(self, message: Packed) -> None:
        """Send to the worker, if it is still there."""
        if self.link is not None and self.gone is None:
            self.link.send(message)

    def receive(self, message: Packed) -> None:
        """Take a message of the worker; one that only says that it lives needs no more."""
        self._heard = True
        match message:
            case ("ask", number, episode, where):
                assignment = self._running.get(episode)
                if assignment is not None:
                    call = self._calls[number] = _Call(self, number, assignment, where)
                    call.task = self._strands.start(call.serve())
            case ("answered", number, attempt, reply, error):
                if (asked := self._calls.get(number)) is not None:
                    asked.take(attempt, reply, error)
            case ("ended", number, packed):
                if (done := self._running.get(number)) is not None and not done.ended.done():
                    done.ended.set_result(packed)
            case ("drop", number):
                if (dropped := self._calls.get(number)) is not None:
                    dropped.cancel()
            case ("raised", number, packed):
                if (broken := self._running.get(number)) is not None and not broken.ended.done():
                    broken.ended.set_exception(wire.error_in(packed))
            case ("ready",):
                self.ready.set()
            case ("failed", packed):
                self.error = wire.error_in(packed)
                self.ready.set()

    async def listen(self, silence_s: float) -> None:
        """Give the worker up when it has said nothing for so long.

        Counted in turns of this loop: where it is the driver that stood still, what the worker
        said meanwhile waits in the socket, and one turn later it is heard.
        """
        turn_s = min(BEAT_S, silence_s / 2)
        silent_s = 0.0
        while self.gone is None:
            await anyio.sleep(turn_s)
            silent_s = 0.0 if self._heard else silent_s + turn_s
            self._heard = False
            if silent_s >= silence_s:
                self.hangs = True
                self.lose(f"said nothing for {silence_s:g} s and was killed")

    def lose(self, reason: str) -> None:
        """Take note that the worker has ended: whoever waits for it is told."""
        if self.gone is not None:
            return
        self.gone = reason
        self.ready.set()
        self.over.set()
        for call in tuple(self._calls.values()):
            call.lose()
        for assignment in self._running.values():
            if not assignment.ended.done():
                assignment.ended.set_exception(WorkerGone())
        self._settle()

    def _abandon(self, number: int, assignment: _Assignment) -> None:
        """Nobody waits for an episode any more: end it there, and its calls here."""
        self.send(("cancel", number))
        for call in self._calls.values():
            if call.assignment is assignment:
                call.cancel()

    def forget(self, number: int) -> None:
        """Drop a call that was served."""
        del self._calls[number]
        self._settle()

    def _settle(self) -> None:
        if self.gone is not None and not self._calls:
            self.settled.set()


class _Call:
    """A model call of a worker's episode, served by the run's own journal, limiter and budget."""

    def __init__(
        self, member: Member, number: int, assignment: _Assignment, where: tuple[Any, ...]
    ) -> None:
        scope, index, repeat, request, request_hash = where
        self.assignment = assignment
        self.task: asyncio.Task[None] | None = None
        self._place = Place(
            scope=scope,
            index=index,
            repeat=repeat,
            request=wire.request_in(request, assignment.heard),
            request_hash=request_hash,
        )
        self._member = member
        self._number = number
        self._attempt = 0
        self._reply: Reply | None = None  # as the worker has it too
        self._answered: asyncio.Future[Reply] | None = None

    async def serve(self) -> None:
        """Find or make the reply, and tell the worker."""
        assignment, number, member = self.assignment, self._number, self._member
        try:
            reply = await assignment.calls.answer(
                self._place, self._complete, again=assignment.again
            )
            if reply is self._reply:
                member.send(("kept", number))
            else:
                member.send(("reply", number, wire.reply_out(reply)))
        except WorkerGone:
            return
        except Exception as error:  # the worker raises it where the agent asked
            member.send(("refused", number, wire.error_out(error)))
        finally:
            member.forget(number)

    async def _complete(self, request: Request) -> Reply:
        """Give the worker leave to ask, and return what the provider answered it."""
        if self._member.gone is not None:
            raise WorkerGone
        self._attempt += 1
        self._answered = asyncio.get_running_loop().create_future()
        self._member.send(("send", self._number, self._attempt))
        try:
            self._reply = await self._answered
        except asyncio.CancelledError:
            self._member.send(("unsend", self._number))
            raise
        finally:
            self._answered = None
        return self._reply

    def take(self, attempt: int, reply: Packed | None, error: Packed | None) -> None:
        """Take the provider's answer, unless another attempt has begun or nobody waits."""
        if attempt != self._attempt or self._answered is None or self._answered.done():
            return
        if reply is not None:
            self._answered.set_result(wire.reply_in(reply))
        else:
            assert error is not None
            self._answered.set_exception(wire.error_in(error))

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if self.task is not None:
            self.task.cancel()

    def lose(self) -> None:
        """The worker is gone. What it was answered may have been billed; what was kept is kept."""
        if self._answered is not None:
            if not self._answered.done():
                self._answered.set_exception(WorkerGone())
        elif self._reply is None:
            self.cancel()  # it was never sent
