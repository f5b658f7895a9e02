"""What an arm cost and how fast it was, out of its answered calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ....engine.usage import NO_USAGE, PUSD_PER_USD, Usage
from ....storage.outcomes import AnsweredCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Money and time of one arm. None: nothing to tell it from."""

    usage: Usage  # all that was paid for, episodes that failed later included
    priced: bool  # False: the model's price is not known, and no USD is told
    usd_per_task: float | None  # over scored episodes: one task once
    tokens_per_task: float | None
    usd_per_solved: float | None  # over episodes with the full score
    tokens_per_solved: float | None
    cached_share: float | None  # of the prompt tokens, read from the provider's cache
    discount_usd: float | None  # what these would have cost more; None: the bills do not say
    calls: int  # that reached the provider and were answered
    retries: int  # attempts before the ones that were answered
    latency_s: tuple[float, float, float] | None  # p50, p95, p99 of one answered call
    first_token_s: tuple[float, float] | None  # p50, p95 of streamed calls; None: none was
    busy_s: float  # with a call under way
    calls_per_minute: float | None  # while busy
    tokens_per_minute: float | None


def efficiency(
    calls: Iterable[AnsweredCall], *, scored: int, solved: int, priced: bool = True
) -> Efficiency:
    """Sum up the calls of one arm.

    Args:
        calls: Those of all its episodes.
        scored: Episodes with a score.
        solved: Episodes with the full score.
        priced: Whether the model's price is known.
    """
    found = list(calls)
    usage = sum((call.usage for call in found), NO_USAGE)
    asked = [call for call in found if call.usage.calls]  # the others came from the cache
    busy_s = _busy_s(asked)
    minutes = busy_s / 60
    return Efficiency(
        usage=usage,
        priced=priced,
        usd_per_task=_per(usage.cost_usd, scored) if priced else None,
        tokens_per_task=_per(usage.tokens, scored),
        usd_per_solved=_per(usage.cost_usd, solved) if priced else None,
        tokens_per_solved=_per(usage.tokens, solved),
        cached_share=_per(usage.cached_tokens, usage.prompt_tokens),
        discount_usd=_discount_usd([call.usage for call in asked]) if priced else None,
        calls=len(asked),
        retries=sum(max(call.attempts - 1, 0) for call in asked),
        latency_s=_latencies([call.latency_s for call in asked]),
        first_token_s=_first_tokens(asked),
        busy_s=busy_s,
        calls_per_minute=len(asked) / minutes if minutes else None,
        tokens_per_minute=sum(c.usage.tokens for c in asked) / minutes if minutes else None,
    )


def _per(amount: float, count: float) -> float | None:
    return amount / count if count else None


def _latencies(latencies_s: Sequence[float]) -> tuple[float, float, float] | None:
    import numpy as np

    if not latencies_s:
        return None
    p50, p95, p99 = np.quantile(np.asarray(latencies_s), [0.5, 0.95, 0.99])
    return float(p50), float(p95), float(p99)


def _first_tokens(calls: Sequence[AnsweredCall]) -> tuple[float, float] | None:
    """Return p50 and p95 of the calls whose reply was streamed."""
    found = _latencies([call.first_token_s for call in calls if call.first_token_s is not None])
    return found[:2] if found else None


def _busy_s(calls: Sequence[AnsweredCall]) -> float:
    """Return how long at least one call was under way: the union of their spans."""
    spans = sorted((call.at_unix_s - call.latency_s, call.at_unix_s) for call in calls)
    busy_s = 0.0
    ended_s = float("-inf")
    for began_s, end_s in spans:
        busy_s += max(0.0, end_s - max(began_s, ended_s))
        ended_s = max(ended_s, end_s)
    return busy_s


def _discount_usd(usages: Sequence[Usage]) -> float | None:
    """Return what the cached tokens saved, from the prices that the bills imply.

    A bill is a sum of three prices; where they solve all bills exactly, they are the prices.
    """
    import numpy as np

    cached = sum(usage.cached_tokens for usage in usages)
    if not cached:
        return 0.0
    tokens = np.array(
        [(u.prompt_tokens - u.cached_tokens, u.cached_tokens, u.completion_tokens) for u in usages],
        dtype=float,
    )
    bills = np.array([usage.cost_pusd for usage in usages], dtype=float)
    solved, _, rank, _ = np.linalg.lstsq(tokens, bills, rcond=None)
    rounded: Any = np.round(solved)
    if rank < 3 or not np.array_equal(tokens @ rounded, bills):
        return None  # tiers, cache writes or too few bills: more than three prices
    return cached * float(rounded[0] - rounded[1]) / PUSD_PER_USD
