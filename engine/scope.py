"""The model calls of one episode or step: where each stands in the run, and who answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .messages import Reply, Request
from .ports import ModelFacts
from .usage import NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A model call and where it stands in the run: the same after a crash, in any process."""

    scope: str  # the episode's id, or "step/3"
    index: int  # number within the scope, from 0
    repeat: int  # of the episode: equal requests of different repeats are different draws
    request: Request
    request_hash: str


class Answering(Protocol):
    """Answers the calls of episodes: in the run's own process, or from a worker through it.

    Rules: a reply is committed before it is returned, and no call is made without leave.
    """

    @property
    def run_id(self) -> str: ...

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model.

        Raises:
            ModelConfigError: The name resolves to no provider, or its key is missing.
        """
        ...

    async def answer(self, place: Place) -> Reply:
        """Return the reply at this place of the run.

        Raises:
            ModelError: The provider gives no usable reply.
            BudgetExhausted: A cap of the run leaves no room.
            ReplayDiffers: In a replay: the record holds no such call.
        """
        ...


class CallScope:
    """The model calls of one episode or one step, numbered in the order in which they are made.

    The number and the request say which call it is: after a crash the same code asks the same
    things in the same order and is answered from the journal, up to the call that was in
    flight.
    """

    def __init__(self, calls: Answering, name: str, *, repeat: int = 0) -> None:
        self.name = name
        self.usage = NO_USAGE
        self._calls = calls
        self._repeat = repeat
        self._next = 0
        self._answered: dict[tuple[int, str], Reply] = {}

    def rewind(self) -> None:
        """Start over, for another attempt at the same episode: answered calls are kept."""
        self._next = 0
        self.usage = NO_USAGE

    async def complete(self, request: Request) -> Reply:
        """Return the model's reply, from the journal if it was paid for already.

        Raises:
            ModelError: The provider gives no usable reply.
            BudgetExhausted: A cap of the run leaves no room.
            ReplayDiffers: In a replay: the record holds no such call.
        """
        index = self._next
        self._next += 1
        request_hash = request.hash
        reply = self._answered.get((index, request_hash))
        if reply is None:
            reply = await self._calls.answer(
                Place(
                    scope=self.name,
                    index=index,
                    repeat=self._repeat,
                    request=request,
                    request_hash=request_hash,
                )
            )
            self._answered[index, request_hash] = reply
        self.usage += reply.usage
        return reply

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model."""
        return self._calls.facts(model)
