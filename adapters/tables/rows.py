"""What a table's runs came to: one result for each run, one row for all seeds of a setting."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...engine.usage import NO_USAGE, Usage
from ..views.ledger import ledger_rows, mean_complexity
from ..views.story import Scored, Story
from .plan import Job, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finished run."""

    job: Job
    train: tuple[Scored | None, Scored | None]  # before and after
    test: tuple[Scored | None, Scored | None]
    accepted: int
    steps: int
    functions: int
    complexity: float | None  # mean of the result's functions
    calls: int  # of learned functions that gave a value
    usage: Usage
    seconds: float
    curve: Mapping[int, float] = field(default_factory=dict)  # accepted version -> test score
    transfers: Mapping[str, Scored] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over the seeds of a row."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample's standard deviation; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All seeds of one setting."""

    labels: tuple[str, ...]
    results: tuple[Result, ...]
    planned: int  # seeds; fewer results than these: the table is not finished

    @property
    def name(self) -> str:
        """The labels in one text."""
        return ", ".join(self.labels)

    def score(self, split: str, side: int) -> Spread | None:
        """Return a score over the seeds: of "train" or "test", 0 before and 1 after."""
        found = [getattr(result, split)[side] for result in self.results]
        return _spread(scored.score for scored in found if scored is not None)

    def change(self, split: str) -> Spread | None:
        """Return after minus before, seed by seed."""
        pairs = [getattr(result, split) for result in self.results]
        return _spread(after.score - before.score for before, after in pairs if before and after)

    def transfer(self, name: str) -> Spread | None:
        """Return the score on another set's tasks."""
        found = [result.transfers.get(name) for result in self.results]
        return _spread(scored.score for scored in found if scored is not None)

    def figure(self, name: str) -> Spread | None:
        """Return a number of the results over the seeds."""
        found = [getattr(result, name) for result in self.results]
        return _spread(float(value) for value in found if value is not None)

    @property
    def usage(self) -> Usage:
        """What all seeds used."""
        return sum((result.usage for result in self.results), NO_USAGE)


def result_of(job: Job, story: Story, transfers: Mapping[str, Story]) -> Result:
    """Read one run's result from its story, and those of its transfers."""
    ledger = ledger_rows(story.ledger)
    steps = [step for step in story.steps if step.outcome != "unchanged"]
    uses = (row.entry.use for row in ledger)
    scored = {
        name: found
        for name, other in transfers.items()
        if (found := next(iter(other.after.values()), None)) is not None
    }
    return Result(
        job=job,
        train=(story.before.get("train"), story.after.get("train")),
        test=(story.before.get("test"), story.after.get("test")),
        accepted=sum(step.accepted for step in steps),
        steps=len(story.steps),
        functions=len(story.final.functions),
        complexity=mean_complexity(ledger),
        calls=sum(use.outcomes.get("value", 0) for use in uses if use is not None),
        usage=sum((other.usage for other in transfers.values()), story.usage),
        seconds=story.seconds + sum(other.seconds for other in transfers.values()),
        curve=_curve(story),
        transfers=scored,
    )


def rows_of(plan: Plan, results: Iterable[Result]) -> list[Row]:
    """Gather the results by row, in the table's order; rows without any are left out."""
    found: dict[tuple[str, ...], list[Result]] = {}
    planned: dict[tuple[str, ...], int] = {}
    for job in plan.jobs:
        planned[job.labels] = planned.get(job.labels, 0) + 1
    for result in results:
        found.setdefault(result.job.labels, []).append(result)
    return [
        Row(labels=labels, results=tuple(found[labels]), planned=count)
        for labels, count in planned.items()
        if labels in found
    ]


def _curve(story: Story) -> dict[int, float]:
    """Return the test score of every accepted version, where it was looked at on the way."""
    accepted = {0, *(step.step for step in story.steps if step.accepted)}
    looked = {step: scored.score for step, scored in story.tests.items() if step in accepted}
    return looked if len(looked) > 1 and _looked_at_test(story) else {}


def _looked_at_test(story: Story) -> bool:
    training = story.config.get("training")
    return isinstance(training, Mapping) and bool(training.get("test_every_version"))


def _spread(values: Iterable[float]) -> Spread | None:
    found: Sequence[float] = tuple(values)
    return Spread(values=tuple(found)) if found else None
