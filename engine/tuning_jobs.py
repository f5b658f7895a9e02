"""A fine-tuning job: what is asked for, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .tuning_sets import TuningSet
from .usage import Usage

TuningStatus = Literal["waiting", "running", "succeeded", "failed", "cancelled"]
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPlan:
    """A job before it is submitted."""

    base: str  # provider/model
    data: TuningSet
    epochs: int
    seed: int
    name: str = ""  # tells a job from all others once it is submitted: at most 18 characters

    def to_json(self) -> Mapping[str, Any]:
        """Return what the job is, without the data themselves, as the journal holds it."""
        return {
            "tune": self.base,
            "data": self.data.hash,
            "examples": len(self.data.examples),
            "pairs": len(self.data.pairs),
            "epochs": self.epochs,
            "seed": self.seed,
        }

    def worst_case(self, token_pusd: int | None) -> Usage:
        """Return the most that the job can use.

        Args:
            token_pusd: Picodollars for a token that is trained on once.
        """
        tokens = self.data.token_bound() * self.epochs
        return Usage(calls=1, prompt_tokens=tokens, cost_pusd=tokens * (token_pusd or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningJob:
    """Where a job stands, as its tuner tells it."""

    id: str
    status: TuningStatus
    model: str | None = None  # provider/model of the result, once it succeeded
    message: str = ""  # the tuner's own words: why it failed
    trained_tokens: int | None = None  # over all epochs; None: not told
    done_share: float | None = None  # in [0, 1]; None: not told


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningFacts:
    """What is known of a base model before a job is submitted."""

    token_pusd: int | None  # for a token that is trained on once; None: unpriced
    result_priced: bool  # whether the calls of the resulting model will have a price
