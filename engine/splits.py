"""Scores one version on several splits at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from .evaluation import Evaluation, Evaluator
from .parameters import Parameters
from .tasks import TaskSet
from .together import together


@dataclass(frozen=True, slots=True)
class Due:
    """An evaluation of a whole split that is due."""

    tasks: TaskSet | None  # None: there is no such split
    name: str
    repeats: int = 0  # episodes per task; 0: the run's usual number
    keep: bool = True  # whether scores and episodes are wanted


async def score_splits(
    evaluator: Evaluator, version: Parameters, due: Mapping[str, Due]
) -> dict[str, Evaluation]:
    """Score `version` on every split that is there.

    Raises:
        EvaluationVoid, BudgetExhausted, Interrupted, ModelError, StoreError: See `Evaluator`.
    """
    found: dict[str, Evaluation] = {}

    async def score(split: str, tasks: TaskSet, one: Due) -> None:
        found[split] = await score_all(
            evaluator, one.name, version, tasks, one.repeats, keep=one.keep
        )

    await together(
        *(
            partial(score, split, one.tasks, one)
            for split, one in due.items()
            if one.tasks is not None
        )
    )
    return found


async def score_all(
    evaluator: Evaluator,
    name: str,
    version: Parameters,
    tasks: TaskSet,
    repeats: int,
    *,
    keep: bool,
) -> Evaluation:
    """Score a version on all tasks of a set."""
    return await evaluator.evaluate(
        name,
        version,
        ((task, repeat) for task in tasks for repeat in range(repeats)),
        planned=len(tasks) * repeats,
        repeats=repeats,
        keep=keep,
    )
