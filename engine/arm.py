"""One side of a comparison, and how its evaluation is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .episode import Episode
from .parameters import Parameters

_PREFIX = "arm/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: a model with parameters.

    With a lesson, its parameters are those that the lesson leaves, but for the model.
    """

    name: str  # unique in the comparison
    parameters: Parameters  # their `model` is the one that this arm asks
    lesson: str = ""  # learned within the comparison; empty: the parameters are known
    recorded: Callable[[], Iterable[Episode]] | None = None  # taken as they are; None: run anew

    @property
    def evaluation(self) -> str:
        """The name of its evaluation in the run."""
        return evaluation_of(self.name)


def evaluation_of(arm: str) -> str:
    """Return the name of an arm's evaluation."""
    return f"{_PREFIX}{arm}"


def arm_of(evaluation: str) -> str:
    """Return the name of the arm whose evaluation this is."""
    return evaluation.removeprefix(_PREFIX)


def is_arm(evaluation: str) -> bool:
    """Whether this is the evaluation of an arm."""
    return evaluation.startswith(_PREFIX)
