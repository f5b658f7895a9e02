"""What a call costs, in whole picodollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.usage import PUSD_PER_USD
from .settings import ModelSettings

_OTHER_TIERS = ("_priority", "_flex", "_batches")  # of services that we do not ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """What a provider says it billed."""

    prompt: int  # all, cached and written to the cache included
    completion: int  # all, reasoning included
    cached: int = 0  # read from the provider's cache
    cache_written: int = 0  # written to it; some providers charge more for those


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Picodollars a token. None: not known."""

    prompt: int | None = None
    completion: int | None = None
    cached: int = 0
    cache_written: int = 0

    @property
    def known(self) -> bool:
        """Whether a call's cost can be told."""
        return self.prompt is not None and self.completion is not None

    def cost(self, counts: TokenCounts) -> int:
        """Return what a call costs; 0 where the prices are not known."""
        if self.prompt is None or self.completion is None:
            return 0
        plain = max(counts.prompt - counts.cached - counts.cache_written, 0)
        return (
            plain * self.prompt
            + counts.cached * self.cached
            + counts.cache_written * self.cache_written
            + counts.completion * self.completion
        )


def table_prices(info: Mapping[str, Any], *, free: bool) -> Prices:
    """Read the prices out of LiteLLM's entry for a model.

    Args:
        info: The entry; empty if there is none.
        free: Whether the provider may really cost nothing (it runs here). Elsewhere a price of
            zero is LiteLLM's way of saying that it does not know one.
    """
    prompt, completion = _pusd(info, "input_cost_per_token"), _pusd(info, "output_cost_per_token")
    if prompt is None or completion is None or (not free and prompt == completion == 0):
        return Prices(prompt=0, completion=0) if free else Prices()
    cached = _pusd(info, "cache_read_input_token_cost")
    written = _pusd(info, "cache_creation_input_token_cost")
    return Prices(
        prompt=prompt,
        completion=completion,
        cached=prompt if cached is None else cached,
        cache_written=prompt if written is None else written,
    )


def set_prices(settings: ModelSettings, table: Prices) -> Prices:
    """Return the prices with a person's own over LiteLLM's."""
    if settings.prompt_usd_per_million is None and settings.completion_usd_per_million is None:
        return table
    prompt = _per_million(settings.prompt_usd_per_million, table.prompt)
    completion = _per_million(settings.completion_usd_per_million, table.completion)
    cached = _per_million(settings.cached_usd_per_million, prompt)
    return Prices(
        prompt=prompt, completion=completion, cached=cached or 0, cache_written=prompt or 0
    )


def worst_prices(info: Mapping[str, Any], prices: Prices) -> Prices:
    """Return the dearest prices that LiteLLM's entry names: long prompts, reasoning, cache writes.

    A reservation is made before the tier is known.
    """
    if prices.prompt is None or prices.completion is None:
        return prices
    prompt = [prices.prompt, prices.cache_written]
    prompt += _all_pusd(info, "input_cost_per_token_above")
    prompt += _all_pusd(info, "cache_creation_input_token_cost_above")
    completion = [prices.completion, *_all_pusd(info, "output_cost_per_token_above")]
    completion += _all_pusd(info, "output_cost_per_reasoning_token")
    return Prices(prompt=max(prompt), completion=max(completion))


def usd_to_pusd(usd: float) -> int:
    """Round USD, as LiteLLM gives them, to whole picodollars."""
    return round(usd * PUSD_PER_USD)


def _per_million(usd: float | None, default: int | None) -> int | None:
    # a USD per million tokens is 1e-6 USD a token, and 1e6 picodollars
    return default if usd is None else round(usd * 1_000_000)


def _pusd(info: Mapping[str, Any], key: str) -> int | None:
    value = info.get(key)
    return usd_to_pusd(value) if isinstance(value, int | float) else None


def _all_pusd(info: Mapping[str, Any], prefix: str) -> list[int]:
    found = (
        _pusd(info, key)
        for key in info
        if key.startswith(prefix) and not key.endswith(_OTHER_TIERS)
    )
    return [value for value in found if value is not None]
