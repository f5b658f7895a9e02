"""Versions of the database, and what stands in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import aiosqlite
import anyio
import pytest
from funcforge.storage.database import migrate, migrations, open_store
from funcforge.storage.problems import APPLICATION_ID, VERSION
from funcforge.storage.queries import queries
from funcforge.storage.rows import VOLATILE
from funcforge.storage.store import TABLES

from tests.storage.content import call, episode, finished, run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def test_there_is_a_script_for_every_version() -> None:
    assert sorted(migrations()) == list(range(1, VERSION + 1))


async def test_a_new_file_says_what_it_is(path: Path) -> None:
    async with open_store(path):
        pass

    assert ask(path, "PRAGMA user_version") == [(VERSION,)]
    assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


async def test_opening_again_changes_nothing(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
    before = ask(path, "SELECT * FROM runs")

    async with open_store(path):
        pass

    assert ask(path, "SELECT * FROM runs") == before


async def test_each_version_leads_to_the_next_and_keeps_the_rows(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
    newer = {
        **migrations(),
        VERSION + 1: "ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT 'none';\n",
        VERSION + 2: "CREATE TABLE notes (body TEXT); -- a comment\n"
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN\n    DELETE FROM notes;\nEND;\n",
    }

    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        await migrate(connection, VERSION, newer)

    assert ask(path, "PRAGMA user_version") == [(VERSION + 2,)]
    assert ask(path, "SELECT id, tags FROM runs") == [(run().id, "none")]
    assert ask(path, "SELECT name FROM sqlite_schema WHERE name = 't'") == [("t",)]


async def test_a_migration_that_fails_leaves_the_old_version(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
    broken = {
        **migrations(),
        VERSION + 1: "CREATE TABLE half (a);\nALTER TABLE nowhere ADD COLUMN b;\n",
    }

    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            await migrate(connection, VERSION, broken)

    assert ask(path, "PRAGMA user_version") == [(VERSION,)]
    assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == [(0,)]
    async with open_store(path) as store:
        assert await store.load_run(run().id) is not None


async def test_every_table_and_column_is_dumped_or_may_differ(path: Path) -> None:
    async with open_store(path):
        pass

    tables = {name for (name,) in ask(path, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {*TABLES, "losses"}  # how much is lost hangs on chance
    assert all(f"rows_of_{table}" in queries() for table in TABLES)
    times = {
        column[1]
        for table in tables
        for column in ask(path, f"PRAGMA table_info({table})")
        if str(column[1]).endswith("_s") or column[1] in {"seconds", "attempts"}
    }
    assert times == VOLATILE


async def test_what_many_calls_have_in_common_is_stored_once(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        for index in range(50):
            await store.commit_call(call(index))

    # one system prompt, one list of tools and settings
    assert ask(path, "SELECT count(*) FROM contents") == [(2,)]
    assert ask(path, "SELECT count(*) FROM calls") == [(50,)]


async def test_rows_that_nobody_waits_for_are_written_soon(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        await store.handle(finished(episode()))

        with anyio.fail_after(5):
            # another connection looks: there is no event to wait for
            while ask(path, "SELECT count(*) FROM episodes") == [(0,)]:  # noqa: ASYNC110
                await anyio.sleep(0.01)
