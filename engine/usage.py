"""What a model call, an episode or a whole run used."""

from __future__ import annotations

from dataclasses import dataclass

PUSD_PER_USD = 1_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money. Adds up.

    Money is held in whole picodollars: prices per token are whole numbers of them, and sums of
    whole numbers do not depend on the order in which episodes end, which sums of floats do.
    """

    calls: int = 0  # answered model calls
    prompt_tokens: int = 0  # all of them, cached ones included
    completion_tokens: int = 0
    cached_tokens: int = 0  # the part of prompt_tokens that the provider read from its cache
    cost_pusd: int = 0  # 1e-12 USD

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_usd(self) -> float:
        """Money in USD."""
        return self.cost_pusd / PUSD_PER_USD

    def __add__(self, other: Usage) -> Usage:
        if self is NO_USAGE:  # most sums of an episode begin with it
            return other
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost_pusd=self.cost_pusd + other.cost_pusd,
        )


NO_USAGE = Usage()
