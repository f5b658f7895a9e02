"""What a person may say about one model, beyond its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Overrides for one model; None: what LiteLLM knows. Never holds a key."""

    base_url: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    prompt_usd_per_million: float | None = None
    cached_usd_per_million: float | None = None  # None: the same share of the prompt's price
    completion_usd_per_million: float | None = None
    timeout_s: float = 120.0  # of one call, from sending to the last byte
    api_key_env: str | None = None  # variable that holds the key; None: the provider's own
    stream: bool = False  # ask for the reply piece by piece, to time its first token
    extra: Mapping[str, Any] = field(default_factory=dict)  # parameters passed on as they are
