"""Caps over a whole run: no spend without a reservation (invariant 2)."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .change import Change
from .clock import SystemClock
from .errors import BudgetExhausted
from .ports import Clock
from .usage import NO_USAGE, PUSD_PER_USD, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that a run may use, over agent, optimizer and critic together; None: no cap."""

    calls: int | None = None  # requests sent, failed attempts included
    tokens: int | None = None  # prompt and completion
    cost_usd: float | None = None
    seconds: float | None = None  # wall clock in which the run was working, over all its stops


@dataclass(slots=True)
class Reservation:
    """Room held for one attempt. Settled by what the attempt used; by the worst case if unset."""

    worst: Usage
    used: Usage | None = None

    def settle(self, used: Usage) -> None:
        """Say what the attempt really used."""
        self.used = used

    @property
    def spent(self) -> Usage:
        """What counts against the caps: the worst case, unless it is known better."""
        return self.worst if self.used is None else self.used


class Budget:
    """Counts what a run used and what is reserved.

    Args:
        caps: The limits.
        spent: Used before this process, restored from the stored calls.
        seconds: Wall clock used before this process.
    """

    def __init__(
        self,
        caps: Caps,
        *,
        spent: Usage = NO_USAGE,
        seconds: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        self.caps = caps
        self.spent = spent
        self.reserved = NO_USAGE
        self._clock = clock or SystemClock()
        self._started_s = self._clock.monotonic_s() - seconds
        self._changed = Change()
        self._reservations = 0
        self._exhausted: BudgetExhausted | None = None

    @property
    def seconds(self) -> float:
        """Wall clock used, over all stops of the run."""
        return self._clock.monotonic_s() - self._started_s

    @property
    def left_s(self) -> float:
        """Wall clock that its cap leaves; infinity if there is none."""
        cap = self.caps.seconds
        return math.inf if cap is None else max(0.0, cap - self.seconds)

    @asynccontextmanager
    async def reserve(self, worst: Usage) -> AsyncGenerator[Reservation]:
        """Hold room for an attempt that uses at most `worst`.

        Waits while other attempts hold room that they may give back. What was not settled when
        the block ends counts as the worst case: the provider may have billed it.

        Raises:
            BudgetExhausted: The attempt does not fit, and nothing in flight can make it fit.
        """
        while (short := self._shortage(worst)) is not None:
            if self._exhausted is not None:
                raise self._exhausted
            if self._reservations == 0 or short.cap == "seconds":
                self._exhausted = short
                self._changed.tell()
                raise short
            await self._changed.wait()
        reservation = Reservation(worst)
        self._reservations += 1
        self.reserved += worst
        try:
            yield reservation
        finally:
            self._reservations -= 1
            self.reserved = _minus(self.reserved, worst)
            self.spent += reservation.spent
            self._changed.tell()

    def check(self, worst: Usage) -> None:
        """Return unless a cap is reached already, so that nobody queues for what cannot be.

        Raises:
            BudgetExhausted: The cap.
        """
        if self._exhausted is None and self.caps.seconds is None:
            return
        short = self._shortage(worst)
        if short is not None and (self._exhausted is not None or short.cap == "seconds"):
            raise short

    def _shortage(self, worst: Usage) -> BudgetExhausted | None:
        """Return the first cap that the attempt would break."""
        caps, held = self.caps, (self.spent, self.reserved, worst)
        if caps.seconds is not None and self.seconds >= caps.seconds:
            return _exhausted("seconds", caps.seconds)
        if caps.calls is not None and sum(one.calls for one in held) > caps.calls:
            return _exhausted("calls", caps.calls)
        if caps.tokens is not None and sum(one.tokens for one in held) > caps.tokens:
            return _exhausted("tokens", caps.tokens)
        if caps.cost_usd is not None:
            cap_pusd = round(caps.cost_usd * PUSD_PER_USD)
            if sum(one.cost_pusd for one in held) > cap_pusd:
                return _exhausted("cost_usd", caps.cost_usd)
        return None


def _exhausted(cap: str, limit: float) -> BudgetExhausted:
    return BudgetExhausted(
        f"the run's budget of {limit:g} {cap} leaves no room for the next call; "
        f"resume with a larger one: --set budget.{cap}=...",
        cap=cap,
        limit=limit,
    )


def _minus(total: Usage, part: Usage) -> Usage:
    return Usage(
        calls=total.calls - part.calls,
        prompt_tokens=total.prompt_tokens - part.prompt_tokens,
        completion_tokens=total.completion_tokens - part.completion_tokens,
        cached_tokens=total.cached_tokens - part.cached_tokens,
        cost_pusd=total.cost_pusd - part.cost_pusd,
    )
