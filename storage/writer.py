"""One writer with group commit: all that waits goes into one transaction, and one fsync."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite
import anyio

from ..engine.errors import StoreError
from .problems import translate
from .queries import queries
from .rows import Row
from .spelling import Free, Guard, Packed, pack

QUEUE_ITEMS = 2048  # more makes the caller wait; a slow disk slows the run, the memory stays small


class Write(NamedTuple):
    """One statement of queries.sql with its parameters."""

    statement: str
    row: Row


class _Item:
    """What belongs together, and who waits for it."""

    __slots__ = ("after", "done", "error", "key", "writes")

    def __init__(
        self, writes: Sequence[Write], key: object, after: Callable[[], None] | None
    ) -> None:
        self.writes = writes
        self.key = key
        self.after = after
        self.done = anyio.Event()
        self.error: StoreError | None = None


class GroupWriter:
    """Writes what callers queue, in order. The only writer of its connection.

    A caller that is cancelled while it waits leaves its rows queued whole, or not at all. After
    an error nothing more is written: every waiting and every later call fails with it, so that
    no acknowledged row ever stands behind a missing one.

    Args:
        guard: Applied to free text before it is stored.
    """

    def __init__(
        self, connection: aiosqlite.Connection, path: Path, *, guard: Guard | None = None
    ) -> None:
        self._connection = connection
        self._path = path
        self._file = path.stat()
        self._guard = guard
        self._queue: list[_Item] = []
        self._wake = anyio.Event()
        self._room = anyio.Event()
        self._closing = False
        self.error: StoreError | None = None

    async def put(self, writes: Sequence[Write], *, key: object = None) -> _Item:
        """Queue rows. Returns when they are queued, which they are whole or not at all.

        Args:
            key: Rows of equal key are written in the order in which they came; None: any order.

        Raises:
            StoreError: The writer failed, now or earlier, or is closed.
        """
        while len(self._queue) >= QUEUE_ITEMS and self.error is None:
            await self._room.wait()
        return self.put_nowait(writes, key=key)

    def put_nowait(
        self,
        writes: Sequence[Write],
        *,
        key: object = None,
        after: Callable[[], None] | None = None,
    ) -> _Item:
        """Queue rows even beyond the bound.

        Args:
            after: Called once they are durable, or the writer has failed.
        """
        if self.error is not None:
            raise type(self.error)(str(self.error), path=self.error.path) from self.error
        if self._closing:
            raise StoreError(f"{self._path}: the store is closed", path=str(self._path))
        item = _Item(writes, key, after)
        self._queue.append(item)
        self._wake.set()
        return item

    async def commit(self, writes: Sequence[Write], *, key: object = None) -> None:
        """Return when the rows, and all that were queued before them, are durable.

        Raises:
            StoreError: They are not: the writer failed.
        """
        item = await self.put(writes, key=key)
        await item.done.wait()
        if item.error is not None:
            raise type(item.error)(str(item.error), path=item.error.path) from item.error

    async def settle(self) -> None:
        """Return when all that was queued before is durable, or the writer has failed."""
        if self.error is None and not self._closing:
            await self.put_nowait(()).done.wait()

    def close(self) -> None:
        """Let `run` end once the queue is empty."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Write until closed. Not cancelled from outside: `close` ends it."""
        with anyio.CancelScope(shield=True):
            while self._queue or not self._closing:
                if not self._queue:
                    self._wake = anyio.Event()
                    await self._wake.wait()
                    continue
                group, self._queue = self._queue, []
                self._room.set()
                self._room = anyio.Event()
                await self._write(group)

    async def _write(self, group: Sequence[_Item]) -> None:
        if self.error is None and any(item.writes for item in group):
            try:
                await self._transaction(group)
            except StoreError as error:
                self.error = error
            except (sqlite3.Error, OverflowError, ValueError) as error:
                self.error = translate(error, self._path)
                self.error.__cause__ = error
        for item in group:
            item.error = self.error
            item.done.set()
            if item.after is not None:
                item.after()

    async def _transaction(self, group: Sequence[_Item]) -> None:
        connection = self._connection
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        try:
            for chunk in _chunks(group):
                for statement, rows in _by_statement(chunk):
                    # the generator is drawn from by SQLite's thread: packing costs no loop time
                    await connection.executemany(queries()[statement], self._stored(rows))
            self._check_file()
            await connection.execute_fetchall("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                await connection.execute_fetchall("ROLLBACK")
            raise

    def _check_file(self) -> None:
        """Refuse to acknowledge rows in a file that nobody will find again."""
        try:
            same = os.path.samestat(self._path.stat(), self._file)
        except OSError:
            same = False
        if not same:
            raise StoreError(
                f"{self._path}: the database was removed or replaced while it was in use. Put it "
                "back, then resume the run",
                path=str(self._path),
            )

    def _stored(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            yield {name: self._value(value) for name, value in row.items()}

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind is not Packed and kind is not Free:
            return value
        text = self._guard(value) if self._guard else str(value)
        return pack(text) if kind is Packed else str(text)


def _chunks(group: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Cut a group where a key comes again: within a chunk the order of rows does not matter."""
    chunk: list[_Item] = []
    keys: set[object] = set()
    for item in group:
        if item.key is not None and item.key in keys:
            yield chunk
            chunk, keys = [], set()
        chunk.append(item)
        keys.add(item.key)
    yield chunk


def _by_statement(chunk: Iterable[_Item]) -> Iterator[tuple[str, list[Row]]]:
    """Gather the rows of each statement, statements in the order of queries.sql."""
    rows: dict[str, list[Row]] = {}
    for item in chunk:
        for write in item.writes:
            rows.setdefault(write.statement, []).append(write.row)
    for statement in queries():
        if statement in rows:
            yield statement, rows[statement]
