"""A task set on disk: an index of 30 bytes a task in memory, the tasks in their file.

The tasks of a small file are kept once they were read: a training goes over them in every step.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator

from ...engine.errors import TaskError
from ...engine.task_sets import (
    Positions,
    TaskIndex,
    content_of,
    digest_of,
    duplicates,
    hash64,
)
from ...engine.tasks import Task
from .records import Record, Records, at
from .rows import Reader

KEPT_BYTES = 4 * 2**20  # of rows; the tasks of a larger file are read anew each time


def _as_read(task: Task) -> Task:
    return task


class FileTaskSet:
    """Tasks read from a file when they are asked for. All rows are checked on construction.

    Args:
        records: The file.
        read: Makes a task of a row.
        stem: Ids of rows without one are `stem-ROW`.
        limit: Read no more rows than this.
        finish: Called on each task that is handed out, such as to write a file of it.
        group: Metadata that names groups, which no splits part.

    Raises:
        TaskError: A row is wrong, an id is used twice, there is no row.
    """

    def __init__(
        self,
        records: Records,
        read: Reader,
        *,
        stem: str,
        limit: int | None = None,
        finish: Callable[[Task], Task] = _as_read,
        group: str | None = None,
    ) -> None:
        self._records = records
        self._read = read
        self._stem = stem
        self._finish = finish
        self._group = group
        self._offsets = array("Q")
        self._sizes = array("I")
        self._lines = array("I")
        self.index = TaskIndex()
        for record in records.scan():
            self._add(record)
            if len(self.index) == limit:
                break
        if not self.index:
            raise TaskError("holds no tasks", file=records.name)
        self._check_ids()
        self._keeps = sum(self._sizes) <= KEPT_BYTES
        self._kept: dict[int, Task] = {}

    @property
    def hash(self) -> str:
        """Content hash of all tasks in order."""
        return digest_of(self.index.digests)

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Task]:
        return self.pick(range(len(self)))

    def pick(self, positions: Positions) -> Iterator[Task]:
        """Read the tasks at these positions, in this order.

        Raises:
            TaskError: The file changed since it was indexed.
        """
        for position in positions:
            task = self._kept.get(position)
            if task is None:
                # open for one task only: an iteration that is left half-way holds no descriptor
                with self._records.open() as file:
                    task = self._task(file.fileno(), position)
                if self._keeps and not task.files:  # attachments are looked for each time
                    self._kept[position] = task
            yield self._finish(task)

    def _add(self, record: Record) -> None:
        where = at(self._records.name, record.line)
        task = self._read(record.values, where, self._default_id(len(self.index)))
        try:
            content = content_of(task)
        except (ValueError, TypeError) as error:
            raise TaskError(f"the row cannot be kept as JSON: {error}", file=where) from None
        group = None if self._group is None else str(task.metadata[self._group])
        self.index.add(task.id, content, str(task.metadata.get("category", "")), group)
        self._offsets.append(record.offset)
        self._sizes.append(record.size)
        self._lines.append(record.line)

    def _default_id(self, position: int) -> str:
        return f"{self._stem}-{position + 1}"

    def _task(self, descriptor: int, position: int) -> Task:
        # pread leaves the file's position alone: several iterations may share a descriptor
        data = os.pread(descriptor, self._sizes[position], self._offsets[position])
        line = self._lines[position]
        where = at(self._records.name, line)
        try:
            values = self._records.parse(data, line)
            task = self._read(values, where, self._default_id(position))
        except (TaskError, StopIteration):
            raise TaskError("the file changed while it was in use", file=where) from None
        if hash64(content_of(task)) != self.index.digests[position]:
            raise TaskError("the file changed while it was in use", file=where)
        return task

    def _check_ids(self) -> None:
        twins = duplicates(self.index.keys)
        if not twins:
            return
        later = twins[0]
        first = self.index.keys.index(self.index.keys[later])
        with self._records.open() as file:
            one, two = (self._task(file.fileno(), position) for position in (first, later))
        raise TaskError(
            f"the id {two.id!r} is used twice, first in line {self._lines[first]}"
            if one.id == two.id
            else f"the ids {one.id!r} and {two.id!r} have the same hash; rename one",
            file=at(self._records.name, self._lines[later]),
            key="id",
        )
