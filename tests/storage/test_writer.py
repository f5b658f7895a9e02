"""One writer, groups, back-pressure."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from funcforge.engine.errors import StoreError
from funcforge.storage.database import open_store
from funcforge.storage.recording import call_writes
from funcforge.storage.store import SqliteStore
from funcforge.storage.writer import QUEUE_ITEMS, GroupWriter, Write

from tests.storage.content import RUN, USAGE, call, run


@asynccontextmanager
async def idle_writer(path: Path) -> AsyncGenerator[tuple[SqliteStore, GroupWriter]]:
    """A second writer on an open store's connection, that nobody has started yet."""
    async with open_store(path) as store:
        await store.begin(run())
        writer = GroupWriter(store._writer._connection, store.path)
        yield store, writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_all_that_waits_is_one_transaction(path: Path) -> None:
    async with idle_writer(path) as (store, writer), anyio.create_task_group() as group:
        begun: list[str] = []
        await store._writer._connection.set_trace_callback(begun.append)
        for index in range(100):
            group.start_soon(writer.commit, call_writes(call(index)))
        await anyio.wait_all_tasks_blocked()

        group.start_soon(writer.run)
        await writer.settle()
        writer.close()

        assert begun.count("COMMIT") == 1
        assert (await store.used(RUN)).calls == 100


async def test_a_full_queue_makes_the_caller_wait_and_loses_nothing(path: Path) -> None:
    async with idle_writer(path) as (store, writer):
        for _ in range(QUEUE_ITEMS - 1):
            await writer.put(())
        await writer.put(call_writes(call(0)))

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(writer.put, call_writes(call(1)))
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        async with anyio.create_task_group() as group:
            group.start_soon(writer.commit, call_writes(call(2)))
            await anyio.wait_all_tasks_blocked()
            group.start_soon(writer.run)
            await writer.settle()
            writer.close()

        # the cancelled one was not queued: whole or not at all
        assert await store.used(RUN) == USAGE + USAGE
        assert await store.find_call(RUN, "e1", 1, call(1).request_hash) is None


async def test_nothing_stands_behind_a_row_that_failed(path: Path) -> None:
    async with idle_writer(path) as (store, writer), anyio.create_task_group() as group:
        broken = [Write("keep_function", {"hash": "h", "name": None, "body": "b"})]
        raised: list[StoreError] = []

        async def caller(writes: list[Write]) -> None:
            with pytest.raises(StoreError, match=r"runs\.db.*NOT NULL") as info:
                await writer.commit(writes)
            raised.append(info.value)

        group.start_soon(caller, call_writes(call(0)))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(caller, broken)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(writer.run)
        await writer.settle()
        await caller(call_writes(call(1)))
        writer.close()

        assert len(raised) >= 2
        assert (await store.used(RUN)).calls == 0


async def test_contents_that_were_forgotten_are_kept_once_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funcforge.storage.writer.REMEMBERED_CONTENTS", 0)

    async with open_store(path) as store:
        await store.begin(run())
        for index in range(5):
            await store.commit_call(call(index))
        rows = await store.dump_rows(RUN)

    assert len(rows["contents"]) == 2
