"""One writer with group commit: all that waits goes into one transaction, and one fsync."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite
import anyio

from ..engine.errors import StoreError
from .problems import translate
from .queries import by_place, queries
from .rows import Row
from .spelling import Free, Guard, Packed, pack

QUEUE_ITEMS = 2048  # more makes the caller wait; a slow disk slows the run, the memory stays small
LINGER_S = 0.05  # rows that nobody waits for wait so long for company: an fsync is dear
REMEMBERED_CONTENTS = 4096  # hashes


class Write(NamedTuple):
    """One statement of queries.sql with its parameters."""

    statement: str
    row: Row


class _Item:
    """What belongs together, and who waits for it."""

    __slots__ = ("after", "done", "error", "key", "writes")

    def __init__(
        self,
        writes: Sequence[Write],
        key: object,
        after: Callable[[], None] | None,
        done: anyio.Event | None,
    ) -> None:
        self.writes = writes
        self.key = key
        self.after = after
        self.done = done  # of its whole group
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
        # one hop to SQLite's thread for a whole group: one for each statement costs more than
        # the statements do
        self._in_thread: Callable[..., Awaitable[None]] = connection._execute  # noqa: SLF001
        self._path = path
        self._file = path.stat()
        self._guard = guard
        self._contents: set[str] = set()
        self._queue: list[_Item] = []
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        self._room = anyio.Event()
        self._done = anyio.Event()  # set when what is queued now is written
        self._closing = False
        self.error: StoreError | None = None

    async def put(self, writes: Sequence[Write], *, key: object = None) -> None:
        """Queue rows. Returns when they are queued, which they are whole or not at all.

        Args:
            key: Rows of equal key are written in the order in which they came; None: any order.

        Raises:
            StoreError: The writer failed, now or earlier, or is closed.
        """
        await self._wait_for_room()
        self.put_nowait(writes, key=key, waited_for=False)

    async def _wait_for_room(self) -> None:
        while len(self._queue) >= QUEUE_ITEMS and self.error is None:
            await self._room.wait()

    def put_nowait(
        self,
        writes: Sequence[Write],
        *,
        key: object = None,
        waited_for: bool = True,
        after: Callable[[], None] | None = None,
    ) -> _Item:
        """Queue rows even beyond the bound.

        Args:
            waited_for: Whether they are to be written at once.
            after: Called once they are durable, or the writer has failed.
        """
        if self.error is not None:
            raise type(self.error)(str(self.error), path=self.error.path) from self.error
        if self._closing:
            raise StoreError(f"{self._path}: the store is closed", path=str(self._path))
        item = _Item(writes, key, after, self._done if waited_for else None)
        self._queue.append(item)
        self._wake.set()
        if waited_for or len(self._queue) >= QUEUE_ITEMS // 2:
            self._hurry.set()
        return item

    async def commit(self, writes: Sequence[Write], *, key: object = None) -> None:
        """Return when the rows, and all that were queued before them, are durable.

        Raises:
            StoreError: They are not: the writer failed.
        """
        await self._wait_for_room()
        item = self.put_nowait(writes, key=key)
        assert item.done is not None
        await item.done.wait()
        if item.error is not None:
            raise type(item.error)(str(item.error), path=item.error.path) from item.error

    async def settle(self) -> None:
        """Return when all that was queued before is durable, or the writer has failed."""
        if self.error is None and not self._closing:
            item = self.put_nowait(())
            assert item.done is not None
            await item.done.wait()

    def close(self) -> None:
        """Let `run` end once the queue is empty."""
        self._closing = True
        self._wake.set()
        self._hurry.set()

    async def run(self) -> None:
        """Write until closed. Not cancelled from outside: `close` ends it."""
        with anyio.CancelScope(shield=True):
            while self._queue or not self._closing:
                if not self._queue:
                    self._wake = anyio.Event()
                    await self._wake.wait()
                    continue
                if not self._hurry.is_set():
                    with anyio.move_on_after(LINGER_S):
                        await self._hurry.wait()
                group, self._queue = self._queue, []
                self._hurry = anyio.Event()
                if self._closing:
                    self._hurry.set()
                self._room.set()
                self._room = anyio.Event()
                done, self._done = self._done, anyio.Event()
                await self._write(group)
                done.set()

    async def _write(self, group: Sequence[_Item]) -> None:
        if self.error is None and any(item.writes for item in group):
            try:
                await self._in_thread(self._transaction, group)
            except StoreError as error:
                self.error = error
            except (sqlite3.Error, OverflowError, ValueError) as error:
                self.error = translate(error, self._path)
                self.error.__cause__ = error
        for item in group:
            item.error = self.error
            if item.after is not None:
                item.after()

    def _transaction(self, group: Sequence[_Item]) -> None:
        """Write a group, in SQLite's thread: packing there costs no time of the event loop."""
        connection = self._connection._conn  # noqa: SLF001
        connection.execute("BEGIN IMMEDIATE")
        try:
            for chunk in _chunks(group):
                for statement, rows in _by_statement(chunk):
                    if fresh := self._fresh(statement, rows):
                        sql, names = by_place(statement)
                        connection.executemany(sql, self._stored(fresh, names))
            self._check_file()
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                connection.execute("ROLLBACK")
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

    def _fresh(self, statement: str, rows: list[Row]) -> list[Row]:
        """Leave out the contents that stand in the file already: most do, and packing costs."""
        if statement != "keep_content":
            return rows
        fresh = {row["hash"]: row for row in rows if row["hash"] not in self._contents}
        if len(self._contents) > REMEMBERED_CONTENTS:
            self._contents.clear()
        self._contents.update(fresh)
        return list(fresh.values())

    def _stored(self, rows: Iterable[Row], names: Sequence[str]) -> Iterator[list[Any]]:
        for row in rows:
            values = [row[name] for name in names]
            yield [self._text(one) if isinstance(one, Free) else one for one in values]

    def _text(self, value: Free) -> str | bytes:
        text = self._guard(value) if self._guard else str(value)
        return pack(text) if isinstance(value, Packed) else str(text)


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
