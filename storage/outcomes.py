"""Reads what every episode of a run came to: the raw material of a comparison. Never writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..engine.episode import Episode
from ..engine.usage import Usage
from . import values
from .reading import ReadOnlyFile
from .spelling import read, spell, unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One episode, without its conversation."""

    evaluation: str
    task_id: str
    repeat: int
    score: float | None  # None: failed
    failure: str | None  # its kind
    usage: Usage
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCall:
    """One model call of an episode that was answered."""

    evaluation: str
    task_id: str
    usage: Usage  # no calls in it: the reply was taken from the cache
    attempts: int
    latency_s: float
    first_token_s: float | None  # None: the reply came at once
    at_unix_s: float  # when the answer was committed


class OutcomeReader:
    """The episodes of stored runs. Use as `with OutcomeReader(path) as reader`.

    Raises:
        StoreLocked, StoreTooNew, StoreCorrupt, StoreError: From every method.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = ReadOnlyFile(Path(path).expanduser().resolve())
        self._read = self._file.read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def outcomes(self, run_id: str) -> Iterator[Outcome]:
        """Return the outcomes by (evaluation, task, repeat)."""
        for row in self._read("outcomes_of", run_id=run_id):
            yield Outcome(
                evaluation=row["evaluation"],
                task_id=row["task_id"],
                repeat=row["repeat"],
                score=row["score"],
                failure=row["failure"],
                usage=values.usage_of(row),
                elapsed_s=row["elapsed_s"],
            )

    def calls(self, run_id: str) -> Iterator[AnsweredCall]:
        """Return the answered calls of all episodes, failed ones included."""
        for row in self._read("answered_calls_of", run_id=run_id):
            yield AnsweredCall(
                evaluation=row["evaluation"],
                task_id=row["task_id"],
                usage=values.usage_of(row),
                attempts=row["attempts"],
                latency_s=row["latency_s"],
                first_token_s=row["first_token_s"],
                at_unix_s=row["at_unix_s"],
            )

    def metadata(self, run_id: str) -> dict[str, Mapping[str, Any]]:
        """Return task id -> the task's metadata, as its episodes keep it."""
        return {
            row["task_id"]: read(read(unpack(row["packed"]))["metadata"])
            for row in self._read("one_episode_a_task", run_id=run_id)
        }

    def failures(self, run_id: str) -> dict[tuple[str, str], str]:
        """Return (evaluation, kind) -> the message of one failure of this kind."""
        return {
            (row["evaluation"], row["failure"]): read(unpack(row["packed"]))["message"]
            for row in self._read("failure_examples_of", run_id=run_id)
        }

    def episodes(self, run_id: str, task_id: str, evaluations: Sequence[str]) -> list[Episode]:
        """Return the episodes of one task by (evaluation, repeat); function calls have no times.

        Args:
            run_id: The run.
            task_id: As `outcomes` gives it.
            evaluations: Those wanted.
        """
        found = self._read(
            "episodes_of_task", run_id=run_id, task_id=task_id, evaluations=spell(list(evaluations))
        )
        return [values.episode_of(row, [0.0] * _calls_in(row)) for row in found]


def _calls_in(row: Mapping[str, Any]) -> int:
    return len(read(unpack(row["packed"]))["calls"])
