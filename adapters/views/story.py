"""One stored run as the views tell it: read once, drawn by the terminal and the HTML report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...engine.parameters import Parameters
from ...engine.usage import NO_USAGE, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The result of one evaluation."""

    evaluation: str
    version: str
    score: float
    low: float
    high: float
    tasks: int
    failed: int
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class EditLine:
    """One action of the optimizer."""

    text: str  # "add solve_rate"
    refused: str = ""  # why; empty: applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One proposal and what became of it."""

    step: int
    outcome: str  # accepted, rolled_back, unchanged, void
    reason: str
    incumbent: Parameters  # before the step
    candidate: Parameters
    incumbent_score: float | None
    score: float | None
    score_low: float | None = None  # of the candidate's own score
    score_high: float | None = None
    effect: float | None = None
    low: float | None = None  # of the effect
    high: float | None = None
    p_value: float | None = None
    episodes: int = 0
    edits: tuple[EditLine, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the candidate became the incumbent."""
        return self.outcome == "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUse:
    """How often a function of the final parameters was called, over the whole run."""

    name: str
    calls: int = 0
    errors: int = 0  # calls that raised, ran out of time or were refused
    episodes: int = 0  # scored episodes that called it
    solved: int = 0  # of these


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one part of the run used."""

    part: str  # "agent", "optimizer"
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that `show` and the report tell of a run."""

    run_id: str
    kind: str
    name: str
    status: str
    stopped_by: str
    message: str
    created_at_unix_s: float
    seconds: float
    sandbox: str
    seed: int
    config: Mapping[str, Any]
    initial: Parameters
    final: Parameters
    before: Mapping[str, Scored] = field(default_factory=dict)  # split -> first score
    after: Mapping[str, Scored] = field(default_factory=dict)  # split -> of the final parameters
    steps: tuple[Step, ...] = ()
    tests: Mapping[int, Scored] = field(default_factory=dict)  # step -> test score on the way
    uses: tuple[FunctionUse, ...] = ()
    costs: tuple[Cost, ...] = ()
    usage: Usage = NO_USAGE

    @property
    def deciding(self) -> str:
        """The split that proposals were decided on."""
        training = self.config.get("training")
        split = training.get("accept_on") if isinstance(training, Mapping) else None
        return split if isinstance(split, str) else "train"

    def incumbents(self) -> list[float | None]:
        """Return the incumbent's deciding score after each step, the start included."""
        first = self.before.get(self.deciding)
        scores: list[float | None] = [first.score if first else None]
        for step in self.steps:
            scores.append(step.score if step.accepted else scores[-1])
        return scores
