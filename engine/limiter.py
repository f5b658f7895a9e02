"""How many calls may be in flight at a provider, found out politely."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from .change import Change
from .clock import SystemClock
from .pacing import Bucket, Pace
from .ports import Clock

START_IN_FLIGHT = 16
START_SHARE = 8  # of what a person allows: who expects hundreds begins with dozens
DECREASE = 0.7  # factor on an overload; 0.5 swings more than providers need
REFUSED = 0.9  # factor on a 429: the pace is what takes the pressure off
SLOWDOWN = 3.0  # latency over the usual one by this factor counts as congestion
RECENT = 20  # answers that tell the latency now; replies differ in length, so one tells nothing
USUAL = 64  # answers that tell the usual one; the first to come back are always the quick ones
SHARE_WEIGHT = 0.1  # of one answer in the share of its tokens that a call uses
ROUNDING_S = 1e-6  # of the clock: no wait
LOOK_S = 5.0  # how long one waits for the rate before it looks whether it is still to be sent
COOL_DOWN_S = 1.0  # answers to calls sent before a decrease say nothing about the new limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What a provider account allows, as far as it is known; None: not known."""

    in_flight: int = 512  # the most calls at once, whatever the provider takes
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """Where an account's limit stands and why."""

    account: str
    limit: int
    in_flight: int
    waiting: int
    reason: str


@dataclass(slots=True)
class Permit:
    """Leave to send one call. Say how it went before the block ends."""

    sent_s: float
    outcome: str = "cancelled"  # ok, refused, overloaded, error, cancelled
    retry_after_s: float | None = None
    latency_s: float | None = field(default=None)
    tokens: int | None = None  # really used; None: as many as were asked for

    def answered(self, latency_s: float, tokens: int | None = None) -> None:
        """The provider answered, for which it counted `tokens`."""
        self.outcome = "ok"
        self.latency_s = latency_s
        self.tokens = tokens

    def refused(self, retry_after_s: float | None) -> None:
        """The provider asked for fewer calls: a rate limit."""
        self.outcome = "refused"
        self.retry_after_s = retry_after_s

    def overloaded(self, retry_after_s: float | None) -> None:
        """The provider has too much to do."""
        self.outcome = "overloaded"
        self.retry_after_s = retry_after_s

    def failed(self) -> None:
        """The call failed for another reason; it says nothing about the load."""
        self.outcome = "error"


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiter:
    """One call in the queue."""

    tokens: int
    turn: anyio.Event | None = None  # let out, or first in the queue; made if it has to wait
    charged: float | None = None  # tokens, once it is let out
    sent_s: float = 0.0

    def wake(self) -> None:
        """Have it look again."""
        if self.turn is not None:
            self.turn.set()


class AccountLimiter:
    """One provider account: concurrency found by slow start, then AIMD; rates by token buckets.

    A rate that nobody told is learned from refusals (see `Pace`).

    Calls leave in the order in which they asked. Only the first of the queue waits for the
    rate, so a limit that lifts lets calls out one after the other and not as a convoy.

    Source: the congestion control of TCP (slow start, additive increase, multiplicative
    decrease; Jacobson 1988), with HTTP 429 and rising latency in the place of lost packets.
    """

    def __init__(
        self,
        account: str,
        limits: RateLimits,
        clock: Clock,
        changed: Callable[[LimitView], Awaitable[None]] | None = None,
    ) -> None:
        self._account = account
        self._limits = limits
        self._clock = clock
        self._notify = changed
        start = max(START_IN_FLIGHT, limits.in_flight // START_SHARE)
        self._limit = float(min(start, limits.in_flight))
        self._slow_start = True
        self._reason = "start"
        self._in_flight = 0
        self._bound = False  # whether calls wait for the limit: only then it is worth raising
        self._queue: deque[_Waiter] = deque()
        self._released = Change()
        self._not_before_s = 0.0
        self._decreased_s = -COOL_DOWN_S
        self._slow_s: float | None = None  # since when answers are slow
        self._best_latency_s: float | None = None
        self._latency_s: float | None = None
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._answers = 0
        self._used_share = 1.0  # of the tokens asked for: the longest reply is rarely the one
        now_s = clock.monotonic_s()
        self._pace = Pace()
        self._buckets: list[tuple[Bucket, bool]] = []
        if limits.requests_per_minute is not None:
            self._buckets.append((Bucket(limits.requests_per_minute, now_s), False))
        if limits.tokens_per_minute is not None:
            self._buckets.append((Bucket(limits.tokens_per_minute, now_s), True))

    @property
    def view(self) -> LimitView:
        """Where the limit stands now."""
        return LimitView(
            account=self._account,
            limit=int(self._limit),
            in_flight=self._in_flight,
            waiting=len(self._queue),
            reason=self._why(),
        )

    def _why(self) -> str:
        per_s = self._pace.per_s(self._clock.monotonic_s())
        if per_s is None or self._bound:
            return self._reason
        return f"paced at {per_s * 60:,.0f} requests a minute: {self._reason}"

    @asynccontextmanager
    async def permit(
        self, tokens: int, *, check: Callable[[], None] | None = None
    ) -> AsyncGenerator[Permit]:
        """Wait for leave to send one call of at most `tokens` tokens.

        Args:
            check: Raises if the call is not to be sent any more; asked before each wait.
        """
        waiter = _Waiter(tokens=tokens)
        self._queue.append(waiter)
        try:
            while waiter.charged is None:
                if self._queue[0] is waiter:
                    await self._wait_for_room(tokens, check)
                    self._let_out()
                else:
                    waiter.turn = anyio.Event()
                    await waiter.turn.wait()
            if check is not None:
                check()
        except BaseException:
            self._leave(waiter)
            raise
        charged = waiter.charged
        permit = Permit(sent_s=waiter.sent_s)
        try:
            yield permit
        finally:
            self._in_flight -= 1
            before = int(self._limit)
            self._learn(permit)
            self._settle(tokens, charged, permit)
            self._released.tell()
        if self._notify is not None and int(self._limit) < before:
            await self._notify(self.view)

    def _let_out(self) -> None:
        """Let the first of the queue out, and at once whoever follows and has room.

        One after the other would take a turn of the event loop each: hundreds that begin
        together would leave no faster than the loop turns, which under load is slow.
        """
        now_s = self._clock.monotonic_s()
        while self._queue:
            waiter = self._queue.popleft()
            waiter.charged = waiter.tokens * self._used_share
            waiter.sent_s = now_s
            self._pace.take(now_s)
            for bucket, counts_tokens in self._buckets:
                bucket.take(waiter.charged if counts_tokens else 1, now_s)
            self._bound = self._bound and 2 * self._in_flight >= int(self._limit)
            self._in_flight += 1
            waiter.wake()
            if self._queue and (
                self._in_flight >= int(self._limit)
                or self._wait_s(self._queue[0].tokens, now_s) > ROUNDING_S
            ):
                self._queue[0].wake()  # it is the first now, and waits for the room
                return

    def _leave(self, waiter: _Waiter) -> None:
        """Forget one that gave up."""
        if waiter.charged is not None:
            self._in_flight -= 1
            self._released.tell()
            return
        was_first = self._queue[0] is waiter
        self._queue.remove(waiter)
        if was_first and self._queue:
            self._queue[0].wake()

    def _wait_s(self, tokens: int, now_s: float) -> float:
        """Return how long the rate makes a call wait."""
        units = tokens * self._used_share
        wait_s = max(0.0, self._not_before_s - now_s, self._pace.wait_s(now_s))
        for bucket, counts_tokens in self._buckets:
            wait_s = max(wait_s, bucket.wait_s(units if counts_tokens else 1, now_s))
        return wait_s

    def _settle(self, asked: int, charged: float, permit: Permit) -> None:
        """Charge what a call used, and learn how much of the asked the calls use."""
        if permit.tokens is None:
            return
        now_s = self._clock.monotonic_s()
        for bucket, counts_tokens in self._buckets:
            if counts_tokens:
                bucket.correct(permit.tokens - charged, now_s)
        used_share = min(1.0, permit.tokens / max(asked, 1))
        self._used_share += SHARE_WEIGHT * (used_share - self._used_share)

    async def _wait_for_room(self, tokens: int, check: Callable[[], None] | None) -> None:
        while True:
            if check is not None:
                check()
            now_s = self._clock.monotonic_s()
            wait_s = self._wait_s(tokens, now_s)
            if wait_s > ROUNDING_S:
                with anyio.move_on_after(min(wait_s, LOOK_S)):
                    await self._released.wait()  # an answer may give tokens back
            elif self._in_flight >= int(self._limit):
                self._bound = True
                await self._released.wait()
            else:
                return

    def _learn(self, permit: Permit) -> None:
        now_s = self._clock.monotonic_s()
        if permit.outcome in ("refused", "overloaded"):
            if permit.retry_after_s is not None:
                self._not_before_s = max(self._not_before_s, now_s + permit.retry_after_s)
            refused = permit.outcome == "refused"
            telling = not refused or self._pace.refused(permit.sent_s, now_s)
            # one decrease for all the calls that were sent under the old limit
            if telling and permit.sent_s > self._decreased_s:
                factor = REFUSED if refused else DECREASE
                self._decrease(now_s, "provider asked for fewer calls", factor)
        elif permit.outcome == "ok" and permit.latency_s is not None:
            self._learn_latency(permit, now_s)

    def _learn_latency(self, permit: Permit, now_s: float) -> None:
        latency_s = permit.latency_s or 0.0
        last = self._latency_s
        self._answers += 1
        weight = 1 / min(self._answers, USUAL)
        self._latency_s = latency_s if last is None else last + weight * (latency_s - last)
        best = self._best_latency_s
        if best is None or self._answers < USUAL:
            best = self._latency_s
        self._best_latency_s = min(best * 1.001, self._latency_s)
        self._recent.append(latency_s)
        # congestion slows all answers down: the quick ones too, not only the mean
        quick = sorted(self._recent)[len(self._recent) // 4]
        slow = self._answers > USUAL and quick > max(SLOWDOWN * self._best_latency_s, 0.05)
        # where nothing waits, the last to come back are the slow ones, and a limit helps nobody
        slow = slow and len(self._queue) > 0
        self._slow_s = (now_s if self._slow_s is None else self._slow_s) if slow else None
        # where this process itself stood still for a moment, all that was in flight then seems
        # slow, and what is sent after it does not
        if (
            self._slow_s is not None
            and permit.sent_s > max(self._slow_s, self._decreased_s + COOL_DOWN_S)
            and self._limit > 4
        ):
            self._slow_s = None
            self._slow_start = False
            self._decrease(now_s, "latency rises", DECREASE)
            self._best_latency_s *= 1.5  # a provider may be slower for good
        elif self._limit < self._limits.in_flight and self._bound:
            # additive: one more for every full window of answers, or for each in slow start
            self._limit += 1.0 if self._slow_start else 1.0 / self._limit
            self._limit = min(self._limit, float(self._limits.in_flight))
            self._reason = "slow start" if self._slow_start else "probing for more"

    def _decrease(self, now_s: float, reason: str, factor: float) -> None:
        self._slow_start = False
        self._limit = max(1.0, min(self._limit, self._in_flight + 1.0) * factor)
        self._decreased_s = now_s
        self._reason = reason


class Limiter:
    """The limits of all accounts that a run calls, made when first needed.

    Args:
        default: For accounts without limits of their own.
        accounts: Known limits by account, by provider and host, or by provider.
        changed: Told when a limit falls.
    """

    def __init__(
        self,
        default: RateLimits | None = None,
        accounts: Mapping[str, RateLimits] | None = None,
        *,
        clock: Clock | None = None,
        changed: Callable[[LimitView], Awaitable[None]] | None = None,
    ) -> None:
        self._default = default or RateLimits()
        self._known = dict(accounts or {})
        self._clock = clock or SystemClock()
        self._changed = changed
        self._accounts: dict[str, AccountLimiter] = {}

    def account(self, name: str) -> AccountLimiter:
        """Return the limiter of an account."""
        limiter = self._accounts.get(name)
        if limiter is None:
            limits = self._limits_of(name)
            limiter = AccountLimiter(name, limits, self._clock, self._changed)
            self._accounts[name] = limiter
        return limiter

    def _limits_of(self, name: str) -> RateLimits:
        """Return the limits said of an account, or else of its host, or of its provider."""
        host = name.partition("#")[0]  # provider@host#key, as the models' adapter names accounts
        known = (name, host, host.partition("@")[0])
        return next((self._known[one] for one in known if one in self._known), self._default)

    def views(self) -> tuple[LimitView, ...]:
        """Return where all limits stand, for people."""
        return tuple(limiter.view for limiter in self._accounts.values())
