"""Tasks, and sets of them that may be larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One problem."""

    id: str
    prompt: str
    target: str | None = None  # the right answer; None where there is none
    files: Mapping[str, str] = field(default_factory=dict)  # name in the scratch -> path here
    metadata: Mapping[str, Any] = field(default_factory=dict)  # JSON: category, choices, unit, ...


class TaskSet(Protocol):
    """Tasks in a fixed order. Iterating again gives the same tasks.

    Iterating streams: no implementation may need all tasks in memory for the engine's sake.
    """

    @property
    def hash(self) -> str:
        """Content hash of all tasks in order; stored with the run and checked on resume."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Task]: ...


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Task sets by role. No task stands in two of them."""

    train: TaskSet | None = None
    validation: TaskSet | None = None
    test: TaskSet | None = None  # sealed: scored once before and once after, never learned from


class ListTaskSet:
    """A task set held in memory."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tuple(tasks)
        digest = hashlib.sha256()
        for task in self._tasks:
            record = (task.id, task.prompt, task.target, sorted(task.files.items()))
            digest.update(repr(record).encode("utf-8", "surrogatepass"))
        self.hash = digest.hexdigest()[:20]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)


def split_key(seed: int, task_id: str) -> str:
    """Return the key by which tasks are shuffled: by content, so the file's order is no matter."""
    return hashlib.sha256(f"{seed}\x00{task_id}".encode("utf-8", "surrogatepass")).hexdigest()
