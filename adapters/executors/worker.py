"""The worker core: runs episodes, and asks the run's process before and after each model call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio

from ...engine.episode import Episode, Failure, Job
from ...engine.errors import ConfigError, ModelError
from ...engine.messages import Reply, Request
from ...engine.parameters import Parameters
from ...engine.ports import Model, ModelFacts
from ...engine.rollout import Rollout
from ...engine.scope import CallScope, Place
from ...engine.tasks import Task
from . import wire
from .bench import Setup
from .said import Said
from .strands import Strands
from .wire import BEAT_S, Packed

Send = Callable[[Packed], None]
"""Hands a message to the other side, soon and in order. Raises `ConfigError` if it cannot."""

_episode: ContextVar[_Told] = ContextVar("_episode")  # which one a call belongs to


@dataclass(frozen=True, slots=True)
class _Told:
    """An episode, and what the driver was told of it."""

    number: int
    said: Said = field(default_factory=Said)


class Worker:
    """One worker, whatever carries its messages. `receive` takes what the driver says."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._calls = _RemoteCalls(send)
        self._versions: dict[str, Parameters] = {}
        self._episodes: dict[int, asyncio.Task[None]] = {}
        self._rollout: Rollout | None = None
        self._strands = Strands()
        self._scope = anyio.CancelScope()

    async def serve(self, setup: Setup) -> None:
        """Open the bench, say so, and work until `stop`. Says too what it cannot start with."""
        with self._scope:
            async with Strands() as pulse:
                pulse.start(self._beat())
                try:
                    async with setup.open(_Desk(self._calls)) as bench, self._strands:
                        self._calls.model = bench.model
                        self._rollout = bench.rollout(self._calls)
                        self._send(("ready",))
                        await anyio.sleep_forever()
                except Exception as error:  # to be told where somebody reads it
                    self._send(("failed", wire.error_out(_first(error))))

    async def _beat(self) -> None:
        """Show that the loop turns. A thread of its own would show that of a loop that hangs."""
        while True:
            self._send(("beat",))
            await anyio.sleep(BEAT_S)

    def stop(self) -> None:
        """End everything."""
        self._scope.cancel()

    def receive(self, message: Packed) -> None:
        """Take a message of the driver."""
        match message:
            case ("run", number, job, task, version):
                work = self._run(number, wire.job_in(job), wire.task_in(task), version)
                self._episodes[number] = self._strands.start(work)
            case ("cancel", number):
                if (episode := self._episodes.get(number)) is not None:
                    episode.cancel()
            case ("parameters", version, parameters):
                self._versions[version] = Parameters.from_json(parameters)
            case _:
                self._calls.receive(message)

    async def _run(self, number: int, job: Job, task: Task, version: str) -> None:
        assert self._rollout is not None
        told = _Told(number)
        _episode.set(told)
        try:
            episode = await self._rollout.execute(job, task, self._versions[version])
            self._tell(told, episode, job, task)
        except Exception as error:  # ends the run; the driver raises it
            self._send(("raised", number, wire.error_out(error)))
        finally:
            del self._episodes[number]

    def _tell(self, told: _Told, episode: Episode, job: Job, task: Task) -> None:
        try:
            self._send(("ended", told.number, wire.episode_out(episode, told.said)))
        except ConfigError as error:  # a person's agent answered with something odd
            failure = Failure(kind="agent", message=f"what the agent returned {error}")
            failed = Episode(
                id=job.episode_id,
                run_id="",
                job=job,
                prompt=task.prompt,
                end="failed",
                failure=failure,
                usage=episode.usage,
            )
            self._send(("ended", told.number, wire.episode_out(failed, told.said)))


class _Desk:
    """Lets a scorer or a critic ask its model through the driver."""

    def __init__(self, calls: _RemoteCalls) -> None:
        self._calls = calls

    async def __call__(self, scope: str, request: Request) -> Reply:
        return await self.scope(scope).complete(request)

    def scope(self, name: str, *, repeat: int = 0) -> CallScope:
        return CallScope(self._calls, name, repeat=repeat)

    def facts(self, model: str) -> ModelFacts:
        return self._calls.facts(model)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _RemoteCalls:
    """Answers calls through the driver: it finds, permits, settles and commits."""

    run_id = ""  # the driver fills it in

    def __init__(self, send: Send) -> None:
        self.model: Model
        self._send = send
        self._next = 0
        self._waiting: dict[int, _Waiting] = {}
        self._facts: dict[str, ModelFacts] = {}

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model."""
        facts = self._facts.get(model)
        if facts is None:
            facts = self._facts[model] = self.model.describe(model)
        return facts

    async def answer(self, place: Place) -> Reply:
        """Ask the driver; ask the provider when it says so; return what it has committed."""
        number = self._next
        self._next += 1
        waiting = self._waiting[number] = _Waiting()
        told = _episode.get()
        request = wire.request_out(place.request, told.said)
        where = (place.scope, place.index, place.repeat, request, place.request_hash)
        reply: Reply | None = None
        settled = False
        try:
            self._send(("ask", number, told.number, where))
            told.said.sent(place.request.messages)  # not if it could not be sent
            while True:
                match await waiting.verdict():
                    case ("send", _, attempt):
                        reply = await self._complete((number, attempt), waiting, place.request)
                    case ("kept", _):
                        settled = True
                        assert reply is not None
                        return reply
                    case ("reply", _, packed):
                        settled = True
                        return wire.reply_in(packed)
                    case ("refused", _, packed):
                        settled = True
                        raise wire.error_in(packed)
        finally:
            del self._waiting[number]
            if not settled:
                self._send(("drop", number))

    async def _complete(
        self, attempt: tuple[int, int], waiting: _Waiting, request: Request
    ) -> Reply | None:
        """Ask the provider, and tell the driver how it went."""
        with waiting.sending() as scope:
            try:
                reply = await self.model.complete(request)
            except ModelError as error:
                self._send(("answered", *attempt, None, wire.error_out(error)))
                return None
            self._send(("answered", *attempt, wire.reply_out(reply), None))
            return reply
        assert scope.cancelled_caught  # the driver's deadline: it knows
        return None

    def receive(self, message: Packed) -> None:
        """Take what the driver says of a call; nobody may wait for it any more."""
        waiting = self._waiting.get(message[1])
        if waiting is None:
            return
        if message[0] == "unsend":
            waiting.unsend()
        else:
            waiting.tell(message)


class _Waiting:
    """A call that waits for the driver's word."""

    def __init__(self) -> None:
        self._told: asyncio.Future[Any] | None = None
        self._early: Packed | None = None
        self._scope: anyio.CancelScope | None = None

    async def verdict(self) -> Packed:
        """Return the next thing that the driver says."""
        if self._early is not None:
            early, self._early = self._early, None
            return early
        self._told = asyncio.get_running_loop().create_future()
        told: Packed = await self._told
        return told

    def tell(self, message: Packed) -> None:
        """Hand over what the driver says. It says one thing at a time."""
        if self._told is not None and not self._told.done():
            self._told.set_result(message)
        else:
            self._early = message

    def sending(self) -> anyio.CancelScope:
        """Return the scope in which the provider is asked."""
        self._scope = anyio.CancelScope()
        return self._scope

    def unsend(self) -> None:
        """Break the asking off."""
        if self._scope is not None:
            self._scope.cancel()
