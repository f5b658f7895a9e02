"""Where a training stands between two steps: the trainer's state, as one JSON value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from .acceptance import Scores, Verdict
from .events import EvaluationFinished, Verdicts
from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An entry of the failure record."""

    version: str
    score: float
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of "before and after": the summaries by split, where there is one."""

    train: EvaluationFinished | None = None
    validation: EvaluationFinished | None = None
    test: EvaluationFinished | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All that a training must remember. Immutable: rolling back is keeping the old one."""

    incumbent: str  # parameters version in use: the best accepted one
    initial: str  # the version that training began with
    step: int = 0
    accepted: int = 0  # i of Algorithm 2
    rejected: int = 0  # r of Algorithm 2: since the last acceptance
    scores: Scores = field(default_factory=dict)  # the incumbent's, on the tasks that decide
    head: str = ""  # promising version that proposals build on; empty: on the incumbent
    head_scores: Scores = field(default_factory=dict)  # its, on the tasks that decide
    summaries: Mapping[str, EvaluationFinished] = field(default_factory=dict)  # for the result
    history: tuple[str, ...] = ()  # evaluations that hold the incumbent's training episodes
    seen: Mapping[str, int] = field(default_factory=dict)  # training task -> incumbent's episodes
    failures: tuple[Rejected, ...] = ()  # the failure record
    verdicts: tuple[Verdict, ...] = ()
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    tested_in_vain: int = 0  # sealed tests beside a step that was accepted
    stopped_by: str = ""  # set once the loop has ended; the sealed test may still be due

    @property
    def building(self) -> str:
        """The version that proposals build on: what the optimizer sees."""
        return self.head or self.incumbent

    def with_summary(self, name: str, summary: EvaluationFinished) -> Progress:
        """Remember the result of an evaluation under a name."""
        return replace(self, summaries={**self.summaries, name: summary})

    def knows(self, split: str, version: str) -> bool:
        """Whether a version has a result on a split."""
        summary = self.summaries.get(f"after/{split}")
        return summary is not None and summary.parameters_version == version

    def side(self, side: Literal["before", "after"]) -> Side:
        """Return the results of the initial or of the best accepted parameters."""
        return Side(
            train=self.summaries.get(f"{side}/train"),
            validation=self.summaries.get(f"{side}/validation"),
            test=self.summaries.get(f"{side}/test"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the form that checkpoints hold."""
        data = asdict(self)
        for name in ("scores", "head_scores"):
            data[name] = {task_id: list(scores) for task_id, scores in data[name].items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Progress:
        """Read what `to_json` wrote."""
        fields = dict(data)
        for name in ("scores", "head_scores"):
            fields[name] = {task_id: tuple(s) for task_id, s in data.get(name, {}).items()}
        fields["summaries"] = {
            name: _summary_of(summary) for name, summary in data["summaries"].items()
        }
        fields["history"] = tuple(data["history"])
        fields["seen"] = dict(data["seen"])
        fields["failures"] = tuple(Rejected(**entry) for entry in data["failures"])
        fields["verdicts"] = tuple(Verdict(**verdict) for verdict in data["verdicts"])
        return cls(**fields)


def _summary_of(data: Mapping[str, Any]) -> EvaluationFinished:
    fields = {**data, "usage": Usage(**data["usage"])}
    for judge in ("gold", "critic"):
        fields[judge] = Verdicts(**data[judge]) if data.get(judge) else None
    return EvaluationFinished(**fields)
