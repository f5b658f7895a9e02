"""The one way to a model: journal, budget, limiter, retries, deadline, journal again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio

from .budget import Budget, Reservation
from .checkpoint import CallRecord
from .clock import SystemClock
from .deadline import Deadline
from .errors import (
    ModelConfigError,
    ModelError,
    ReplayDiffers,
    RequestRefused,
    TransientModelError,
)
from .events import Event, ModelRetried
from .limiter import Limiter, Permit
from .messages import Reply, Request, Tool
from .ports import CacheStore, CallStore, Clock, Model, ModelFacts
from .scope import CallScope, Place
from .usage import NO_USAGE, Usage

FATAL_SCOPES = 3  # the same fatal error from this many episodes ends the run
OUTAGE_CALLS = 20  # so many given up in a row: the model is down, other calls need not insist


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how patiently a call that may pass is asked again."""

    attempts: int = 6  # in all
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    call_timeout_s: float = 120.0  # per attempt; no call can hang a run

    def wait_s(self, attempt: int, seed: str, retry_after_s: float | None) -> float:
        """Return how long to wait after attempt number `attempt` (from 1) failed.

        Exponential with full jitter, drawn from the call's place so that it can be replayed;
        never less than what the provider asked for.
        """
        ceiling = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        drawn = random.Random(f"{seed}/{attempt}").uniform(0.1, 1.0) * ceiling  # noqa: S311 - jitter
        return max(drawn, retry_after_s or 0.0)


Complete = Callable[[Request], Awaitable[Reply]]
"""Asks a provider once; raises only `ModelError`s. `Model.complete`, here or in a worker."""


@dataclass(slots=True)
class Circuit:
    """Ends the run when the same fatal error comes from several episodes.

    A bad request is fatal only while the model answers no other: one odd task in a hundred is a
    failed episode, and the share of those has its own limit.
    """

    scopes: dict[str, set[str]] = field(default_factory=dict)
    error: ModelError | None = None
    given_up: Counter[str] = field(default_factory=Counter)  # model -> calls since the last answer

    def note(self, scope: str, error: ModelError) -> None:
        """Remember a fatal error. The optimizer's own scopes ("step/...") count at once."""
        seen = self.scopes.setdefault(f"{error.model}/{error.kind}", set())
        # all votes of a critic on one episode are a matter of that episode
        seen.add("/".join(scope.split("/")[:2]))
        if self.error is None and (len(seen) >= FATAL_SCOPES or scope.startswith("step/")):
            self.error = error

    def gave_up(self, model: str) -> None:
        """Count a call that got no answer with all its attempts."""
        self.given_up[model] += 1

    def down(self, model: str) -> bool:
        """Whether asking a model again and again is known to lead nowhere."""
        return self.given_up[model] >= OUTAGE_CALLS

    def answered(self, model: str) -> None:
        """Forget odd requests of a model that answers others: those are a matter of a task."""
        self.scopes.pop(f"{model}/bad_request", None)
        self.given_up[model] = 0


class ModelCalls:
    """Asks models for one run. A reply is committed to the journal before anybody sees it.

    Args:
        journal: Where answered calls are committed, and found again after a crash.
        resumed: Whether the journal may already hold calls of this run.
        cache: Where replies of other runs may be taken from; None: nowhere.
        offline: A replay: what is not in the journal is an error instead of a call.
    """

    def __init__(
        self,
        model: Model,
        journal: CallStore,
        *,
        run_id: str,
        budget: Budget,
        limiter: Limiter,
        publish: Callable[[Event], Awaitable[None]],
        retry: Retry | None = None,
        clock: Clock | None = None,
        resumed: bool = False,
        cache: CacheStore | None = None,
        offline: bool = False,
    ) -> None:
        self.run_id = run_id
        self.budget = budget
        self.circuit = Circuit()
        self.saved = NO_USAGE  # what the cache made free
        self.offline = offline
        self._model = model
        self._journal = journal
        self._limiter = limiter
        self._publish = publish
        self._retry = retry or Retry()
        self._clock = clock or SystemClock()
        self._resumed = resumed or offline
        self._cache = cache
        self._facts: dict[str, ModelFacts] = {}

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model.

        Raises:
            ModelConfigError: The name resolves to no provider, or its key is missing.
        """
        facts = self._facts.get(model)
        if facts is None:
            facts = self._facts[model] = self._model.describe(model)
        return facts

    def scope(self, name: str, *, repeat: int = 0) -> CallScope:
        """Return a numbered series of calls: those of one episode, judgement or step."""
        return CallScope(self, name, repeat=repeat)

    async def answer(
        self, place: Place, complete: Complete | None = None, *, again: bool = False
    ) -> Reply:
        """Return the reply at this place: the one that was paid for, or else a new one.

        Args:
            complete: Who asks the provider, once leave is given; None: this process.
            again: Whether this run may have asked it before, in a worker that is gone.

        Raises:
            ModelError: The provider does not answer, or will not.
            BudgetExhausted: A cap of the run leaves no room.
            ReplayDiffers: In a replay: the record holds no such call.
        """
        reply = await self._recall(place, again or self._resumed)
        return await self._ask(place, complete or self._model.complete) if reply is None else reply

    async def _recall(self, place: Place, recorded: bool) -> Reply | None:
        """Return the reply that was paid for at this place, by this run or a cached one."""
        if recorded:
            record = await self._journal.find_call(
                self.run_id, place.scope, place.index, place.request_hash
            )
            if record is not None:
                return record.reply
        if self.offline:
            raise ReplayDiffers(
                f"call {place.index} of {place.scope} is not in the record: the replay asks "
                f"something else (request {place.request_hash})"
            )
        if self._cache is not None:
            return await self._from_cache(place, self._cache)
        return None

    async def recorded(self, scope: str, index: int, request: Request) -> Reply | None:
        """Return what this run recorded at a place; never what another run did.

        Raises:
            ReplayDiffers: In a replay: the record holds no such entry.
        """
        if not self._resumed:
            return None
        record = await self._journal.find_call(self.run_id, scope, index, request.hash)
        if record is None and self.offline:
            raise ReplayDiffers(f"entry {index} of {scope} is not in the record")
        return record.reply if record is not None else None

    async def record(self, scope: str, index: int, request: Request, reply: Reply) -> None:
        """Commit what was done at a place, as a call is; returns when it is durable."""
        place = Place(
            scope=scope, index=index, repeat=0, request=request, request_hash=request.hash
        )
        await self._commit(place, reply, attempts=1)

    async def offered(self, episode_id: str) -> tuple[Tool, ...]:
        """Return the tools that an episode's agent offered to its model."""
        return await self._journal.offered(self.run_id, episode_id)

    def lose(self, usage: Usage) -> None:
        """Count what was used, or may have been, for nothing."""
        self._journal.lose(self.run_id, usage)

    async def _from_cache(self, place: Place, cache: CacheStore) -> Reply | None:
        """Take a reply that another run paid for, and write it down as this run's too."""
        found = await cache.find_cached(place.request_hash, place.repeat)
        if found is None:
            return None
        self.saved += found.reply.usage
        # the tokens stay: an agent's limits must see the same conversation as when it was paid for
        reply = replace(
            found.reply,
            usage=replace(found.reply.usage, calls=0, cost_pusd=0),
            latency_s=0.0,
            first_token_s=None,
        )
        await self._commit(place, reply, attempts=0)
        return reply

    async def _commit(self, place: Place, reply: Reply, *, attempts: int) -> None:
        await self._journal.commit_call(
            CallRecord(
                run_id=self.run_id,
                scope=place.scope,
                index=place.index,
                repeat=place.repeat,
                request_hash=place.request_hash,
                request=place.request,
                reply=reply,
                attempts=attempts,
                at_unix_s=self._clock.unix_s(),
            )
        )

    async def _ask(self, place: Place, complete: Complete) -> Reply:
        """Ask the provider until it answers, and commit the answer."""
        model = place.request.model
        facts = self.facts(model)
        attempt = 0
        while True:
            if self.circuit.error is not None:
                raise self.circuit.error
            attempt += 1
            try:
                reply = await self._attempt(place.request, facts, complete)
            except TransientModelError as error:
                if attempt >= self._retry.attempts or self.circuit.down(model):
                    self.circuit.gave_up(model)
                    raise
                wait_s = self._retry.wait_s(
                    attempt, f"{place.scope}/{place.index}", error.retry_after_s
                )
                await self._publish(
                    ModelRetried(
                        run_id=self.run_id,
                        scope=place.scope,
                        model=model,
                        kind=error.kind,
                        attempt=attempt,
                        wait_s=wait_s,
                    )
                )
                # a provider may ask for a day: where the budget ends sooner, it is told sooner
                await anyio.sleep(min(wait_s, self.budget.left_s))
                continue
            except (ModelConfigError, RequestRefused) as error:
                if isinstance(error, ModelConfigError) or error.kind == "bad_request":
                    self.circuit.note(place.scope, error)
                raise
            self.circuit.answered(model)
            await self._commit(place, reply, attempts=attempt)
            return reply

    async def _attempt(self, request: Request, facts: ModelFacts, complete: Complete) -> Reply:
        worst = facts.worst_case(request)
        limiter = self._limiter.account(facts.account)
        # the reservation comes second: room is not held while waiting for a slot
        async with (
            limiter.permit(worst.tokens, check=lambda: self.budget.check(worst)) as permit,
            self.budget.reserve(worst) as reservation,
        ):
            try:
                return await self._send(request, permit, reservation, complete)
            except BaseException:
                self._journal.lose(self.run_id, reservation.spent)
                raise

    async def _send(
        self, request: Request, permit: Permit, reservation: Reservation, complete: Complete
    ) -> Reply:
        sent_s = self._clock.monotonic_s()
        try:
            with Deadline(self._retry.call_timeout_s):
                reply = await complete(request)
        except TimeoutError as error:
            permit.failed()
            raise TransientModelError(
                f"{request.model} did not answer within {self._retry.call_timeout_s:g} s",
                kind="timeout",
                model=request.model,
                billed=True,
            ) from error
        except ModelError as error:
            _settle_failure(reservation, error)
            retry_after_s = getattr(error, "retry_after_s", None)
            if error.kind == "rate_limit":
                permit.refused(retry_after_s)
            elif error.kind == "overloaded":
                permit.overloaded(retry_after_s)
            else:
                permit.failed()
            raise
        permit.answered(self._clock.monotonic_s() - sent_s, reply.usage.tokens)
        reservation.settle(reply.usage)
        return reply


def _settle_failure(reservation: Reservation, error: ModelError) -> None:
    """A refused request costs one call; one that broke off may have been billed in full."""
    if not error.billed:
        reservation.settle(Usage(calls=1))
