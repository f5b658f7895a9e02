"""What can go wrong at a provider, injected on purpose and by seed."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from .wire import Ask


class Fault(StrEnum):
    """One kind of misbehaviour. The values are the outcomes in the ledger."""

    RATE_LIMIT = "rate_limit"  # 429 without Retry-After
    RATE_LIMIT_WAIT = "rate_limit_wait"  # 429 with Retry-After in seconds
    RATE_LIMIT_DATE = "rate_limit_date"  # 429 with Retry-After as an HTTP date
    ERROR_500 = "error_500"
    ERROR_502 = "error_502"  # as a proxy's HTML page
    ERROR_503 = "error_503"
    OVERLOADED = "overloaded"  # 529, Anthropic's
    TIMEOUT = "timeout"  # nothing is ever sent
    RESET_BEFORE = "reset_before"  # connection reset before the first byte
    RESET_WITHIN = "reset_within"  # connection reset in the middle of the body
    SLOW_BODY = "slow_body"  # whole and correct, but in drips
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"  # JSON, but a list
    EMPTY_CHOICES = "empty_choices"
    MISSING_USAGE = "missing_usage"
    CUT_OFF = "cut_off"  # finish reason length, half of the text
    FILTERED = "filtered"  # finish reason content_filter, no text
    WRONG_TYPE = "wrong_type"  # an HTML page with status 200
    ENDLESS = "endless"  # a body that does not end
    STREAM_ERROR = "stream_error"  # of a stream: an error event in the middle
    STREAM_CUT = "stream_cut"  # of a stream: the connection is closed, in order, in the middle
    AUTH = "auth"  # 401
    PERMISSION = "permission"  # 403
    UNKNOWN_MODEL = "unknown_model"  # 404
    BAD_REQUEST = "bad_request"  # 400
    TOO_LONG = "too_long"  # 400, context window
    CONTENT_POLICY = "content_policy"  # 400, filter on the prompt
    QUOTA = "quota"  # 429 that no waiting cures
    REDIRECT = "redirect"  # 307 elsewhere


TRANSIENT = (
    Fault.RATE_LIMIT,
    Fault.RATE_LIMIT_WAIT,
    Fault.ERROR_500,
    Fault.ERROR_502,
    Fault.ERROR_503,
    Fault.OVERLOADED,
    Fault.TIMEOUT,
    Fault.RESET_BEFORE,
    Fault.RESET_WITHIN,
    Fault.INVALID_JSON,
    Fault.EMPTY_CHOICES,
    Fault.WRONG_TYPE,
)
"""Faults that another attempt cures, each answered without an outcome for the task."""


class Faults(Protocol):
    """Decides which call goes wrong, and how."""

    def __call__(self, ask: Ask) -> Fault | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededFaults:
    """A share of the calls goes wrong; which, follows from seed, body and attempt alone."""

    rate: float  # 0..1
    kinds: Sequence[Fault] = TRANSIENT
    seed: int = 0
    first_attempts: int | None = None  # only so many attempts of one body go wrong

    def __call__(self, ask: Ask) -> Fault | None:
        if self.first_attempts is not None and ask.attempt >= self.first_attempts:
            return None
        digest = hashlib.sha256(f"{self.seed}/{ask.hash}/{ask.attempt}".encode()).digest()
        if int.from_bytes(digest[:8], "big") / 2**64 >= self.rate:
            return None
        return self.kinds[int.from_bytes(digest[8:12], "big") % len(self.kinds)]


class ScriptedFaults:
    """The first calls go wrong as listed (None: this one goes well), the rest goes well."""

    def __init__(self, *faults: Fault | None) -> None:
        self._left = list(faults)

    def __call__(self, ask: Ask) -> Fault | None:
        return self._left.pop(0) if self._left else None


class RateLimiter:
    """What a provider really allows: requests per minute, and calls at once.

    A token bucket that holds `burst_s` seconds' worth of requests.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        concurrent: int | None = None,
        burst_s: float = 1.0,
        send_retry_after: bool = True,
    ) -> None:
        self._per_s = requests_per_minute / 60 if requests_per_minute else None
        self._room = max(1.0, (self._per_s or 0.0) * burst_s)
        self._level = self._room
        self._at_s = time.monotonic()
        self._concurrent = concurrent
        self._send_retry_after = send_retry_after

    def refuse(self, in_flight: int) -> dict[str, str] | None:
        """Return the headers of a 429, or None if the call may pass.

        Args:
            in_flight: Calls under way, this one not among them.
        """
        if self._concurrent is not None and in_flight >= self._concurrent:
            return {"retry-after": "1"} if self._send_retry_after else {}
        if self._per_s is None:
            return None
        now_s = time.monotonic()
        self._level = min(self._room, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._level >= 1.0:
            self._level -= 1.0
            return None
        wait_s = math.ceil((1.0 - self._level) / self._per_s)
        return {"retry-after": str(wait_s)} if self._send_retry_after else {}
