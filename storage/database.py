"""Opens the database file: makes it, brings it up to date, refuses what it must not touch."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite
import anyio

from ..engine.clock import SystemClock
from ..engine.errors import StoreError
from ..engine.ports import Clock
from .problems import APPLICATION_ID, FACTS, check_version, translate
from .rows import Row
from .spelling import environment_guard
from .store import SqliteStore
from .writer import GroupWriter

BUSY_TIMEOUT_S = 10.0  # how long another process may hold the file before we give up


@asynccontextmanager
async def open_store(
    path: str | Path, clock: Clock | None = None, *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> AsyncGenerator[SqliteStore]:
    """Open a database for runs, and make it if there is none. Several processes may at once.

    When the block ends, cancelled or not, everything queued is written first, and runs that have
    not ended are marked interrupted.

    Raises:
        StoreLocked: Another process holds the file for longer than `busy_timeout_s`.
        StoreTooNew: A newer funcforge wrote it.
        StoreCorrupt: It is no database, another program's, or damaged.
        StoreError: It cannot be read or written.
    """
    file = _real(path)
    clock = clock or SystemClock()
    async with (
        _connection(file, busy_timeout_s) as connection,
        _connection(file, busy_timeout_s, read_only=True) as reader,
    ):
        writer = GroupWriter(connection, file, guard=environment_guard())
        store = SqliteStore(file, reader, writer, clock)
        failed: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(writer.run)
            try:
                yield store
            except Exception as error:
                failed = error  # raised below: the block's own error, not a group around it
            finally:
                store.release_all()
                writer.close()
        if failed is not None:
            raise failed


def _real(path: str | Path) -> Path:
    """Follow links, so that every process locks the same file."""
    return Path(path).expanduser().resolve()


@asynccontextmanager
async def _connection(
    path: Path, busy_timeout_s: float, *, read_only: bool = False
) -> AsyncGenerator[aiosqlite.Connection]:
    if not read_only:
        _prepare_place(path)
    connection = aiosqlite.connect(
        f"file:{quote(str(path))}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,  # transactions are begun by hand
    )
    try:
        with anyio.CancelScope(shield=True):  # a half-open connection has a thread to end
            await connection
    except sqlite3.Error as error:
        raise translate(error, path) from error
    try:
        try:
            if not read_only:
                await _prepare(connection, path)
        except sqlite3.Error as error:
            raise translate(error, path) from error
        connection.row_factory = _row  # type: ignore[assignment]  # any callable serves
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def _prepare_place(path: Path) -> None:
    """Make the folder, and say in words what SQLite would only call unable to open."""
    if path.is_dir():
        raise StoreError(f"{path}: this is a folder. Name a file for the database", path=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path}: the folder for the database cannot be made ({error}). Make it, or name "
            "another file",
            path=str(path),
        ) from error
    # the file itself is not opened for this: closing it would drop the locks of another store
    # of this process (POSIX)
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            raise StoreError(
                f"{path}: this user may not write in {place}. Give the right to write the database "
                "and its folder, or name another file",
                path=str(path),
            )


async def _prepare(connection: aiosqlite.Connection, path: Path) -> None:
    """Check what the file is before anything is changed, then bring it up to date."""
    await _check(connection, path)
    await connection.execute_fetchall("PRAGMA journal_mode = WAL")
    # every commit reaches the disk: NORMAL would lose the last ones with the power
    await connection.execute_fetchall("PRAGMA synchronous = FULL")
    await connection.execute_fetchall("BEGIN IMMEDIATE")  # also proves that we may write
    try:
        # read again: another process may have made or migrated the file in between
        await migrate(connection, await _check(connection, path), migrations())
    finally:
        if connection.in_transaction:
            await connection.execute_fetchall("ROLLBACK")


async def _check(connection: aiosqlite.Connection, path: Path) -> int:
    found = list(await connection.execute_fetchall(FACTS))
    return check_version(found[0], path)


@cache
def migrations() -> Mapping[int, str]:
    """Return the script that leads to each version."""
    folder = Path(__file__).parent
    scripts = {1: folder / "schema.sql"}
    scripts |= {int(file.stem): file for file in sorted(folder.glob("migrations/*.sql"))}
    return {version: file.read_text(encoding="utf-8") for version, file in scripts.items()}


async def migrate(
    connection: aiosqlite.Connection, version: int, scripts: Mapping[int, str]
) -> None:
    """Lead the database from `version` to the newest one, in the open transaction; commit."""
    for following in range(version + 1, len(scripts) + 1):
        for statement in _statements(scripts[following]):
            await connection.execute_fetchall(statement)
        await connection.execute_fetchall(f"PRAGMA application_id = {APPLICATION_ID}")
        await connection.execute_fetchall(f"PRAGMA user_version = {following}")
    await connection.execute_fetchall("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """Split a script: `executescript` would commit behind our back."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
