"""The SQLite store: what a run writes to and restores from."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from ..engine.checkpoint import CallRecord, Checkpoint, RunRecord
from ..engine.episode import Episode
from ..engine.errors import StoreError
from ..engine.events import EpisodeFinished, Event, RunFinished
from ..engine.messages import Tool
from ..engine.parameters import Parameters
from ..engine.ports import Clock
from ..engine.usage import NO_USAGE, Usage
from . import rows, values
from .ownership import RunLock
from .problems import translate
from .queries import queries
from .recording import call_writes, writes_of
from .rows import Row
from .spelling import column, read, unpack
from .writer import GroupWriter, Write

PAGE_EPISODES = 64  # read at once when episodes are streamed

TABLES = (
    "runs",
    "parameters",
    "functions",
    "contents",
    "evaluations",
    "episodes",
    "function_calls",
    "decisions",
    "events",
    "checkpoints",
    "calls",
)


class SqliteStore:
    """A `Store` and `CacheStore` in one file. Made by `open_store`.

    Reads go over a connection of their own: they never wait for a commit. `find_call`,
    `find_cached` and `find_episode` see what is durable; the others first wait until all that was
    handed over before is.
    """

    def __init__(
        self, path: Path, reader: aiosqlite.Connection, writer: GroupWriter, clock: Clock
    ) -> None:
        self.path = path
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._locks: dict[str, RunLock] = {}

    # -- runs -------------------------------------------------------------------------------

    async def begin(self, run: RunRecord) -> None:
        """Store a new run, or take over a stopped one.

        Raises:
            RunOwned: It is worked on, by another process or by this one.
            StoreError: The database cannot be written.
        """
        await self._writer.settle()  # a run that this process just released is free by then
        lock = await RunLock.acquire(self.path, run.id)
        try:
            with anyio.CancelScope(shield=True):
                row = rows.run_row(run, self._clock.unix_s())
                await self._writer.commit([Write("begin_run", row)])
        except BaseException:
            lock.release()
            raise
        self._locks[run.id] = lock

    def release(self, run_id: str) -> None:
        """Give a run up, for another process or a later resume. May be called at any time.

        A run that has not said how it ended is marked interrupted.
        """
        lock = self._locks.pop(run_id, None)
        if lock is None:
            return
        row = {"id": run_id, "at_unix_s": self._clock.unix_s()}
        try:
            self._writer.put_nowait([Write("abandon_run", row)], after=lock.release)
        except StoreError:
            lock.release()

    def release_all(self) -> None:
        """Give every run up."""
        for run_id in list(self._locks):
            self.release(run_id)

    async def load_run(self, run_id: str) -> RunRecord | None:
        """Return a run as it was last begun, with its status now."""
        found = await self._read("find_run", {"id": run_id}, settled=True)
        return values.run_of(found[0]) if found else None

    async def seconds(self, run_id: str) -> float:
        """Return how long a run was at work, over all its stops; 0 for an unknown run."""
        found = await self._read("find_run", {"id": run_id}, settled=True)
        return float(found[0]["seconds"]) if found else 0.0

    # -- events and checkpoints -------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        """Queue an event's rows. Waits only while the queue is full, and for the end of a run.

        Raises:
            StoreError: The database cannot be written.
        """
        match event:
            case EpisodeFinished(episode=episode):
                await self._writer.put(writes_of(event), key=(event.run_id, episode.id))
            case RunFinished():
                await self._writer.commit(writes_of(event))
                self.release(event.run_id)
            case _ if writes := writes_of(event):
                await self._writer.put(writes)

    async def save_checkpoint(self, run_id: str, checkpoint: Checkpoint) -> None:
        row = rows.checkpoint_row(run_id, checkpoint, self._clock.unix_s())
        await self._writer.commit([Write("save_checkpoint", row)])

    async def load_checkpoint(self, run_id: str) -> Checkpoint | None:
        found = await self._read("last_checkpoint", {"run_id": run_id}, settled=True)
        if not found:
            return None
        return Checkpoint(step=found[0]["step"], state=read(unpack(found[0]["packed"])))

    # -- episodes and parameters ------------------------------------------------------------

    async def find_episode(self, run_id: str, episode_id: str) -> Episode | None:
        found = await self._read("find_episode", {"run_id": run_id, "episode_id": episode_id})
        return await self._episode(found[0]) if found else None

    async def episodes(self, run_id: str, evaluation: str) -> AsyncIterator[Episode]:
        place: Row = {"task_id": "", "repeat": -1, "episode_id": ""}
        where = {"run_id": run_id, "evaluation": column(evaluation), "page": PAGE_EPISODES}
        await self._writer.settle()
        # page by page: an open cursor would hold a snapshot for as long as the reader takes
        while page := await self._read("episodes_after", {**where, **place}):
            for row in page:
                yield await self._episode(row)
            place = {name: page[-1][name] for name in place}

    async def load_parameters(self, version: str) -> Parameters | None:
        found = await self._read("find_parameters", {"version": version}, settled=True)
        if not found:
            return None
        functions = await self._read("functions_of", {"functions": found[0]["functions"]})
        return values.parameters_of(found[0], [row["body"] for row in functions])

    async def _episode(self, row: Row) -> Episode:
        key = {"run_id": row["run_id"], "episode_id": row["episode_id"]}
        calls = await self._read("calls_of_episode", key)
        return values.episode_of(row, [call["elapsed_s"] for call in calls])

    # -- model calls ------------------------------------------------------------------------

    async def commit_call(self, record: CallRecord) -> None:
        await self._writer.commit(call_writes(record))

    async def find_call(
        self, run_id: str, scope: str, index: int, request_hash: str
    ) -> CallRecord | None:
        key = {
            "run_id": run_id,
            "scope": column(scope),
            "idx": index,
            "request_hash": request_hash,
        }
        found = await self._read("find_call", key)
        return values.call_of(found[0]) if found else None

    async def offered(self, run_id: str, scope: str) -> tuple[Tool, ...]:
        found = await self._read("first_head", {"run_id": run_id, "scope": column(scope)})
        return values.tools_of(found[0]) if found else ()

    async def find_cached(self, request_hash: str, repeat: int) -> CallRecord | None:
        found = await self._read("find_cached", {"request_hash": request_hash, "repeat": repeat})
        return values.call_of(found[0]) if found else None

    async def used(self, run_id: str) -> Usage:
        found = await self._read("used", {"run_id": run_id}, settled=True)
        return values.usage_of(found[0])

    def lose(self, run_id: str, usage: Usage) -> None:
        """Queue what a lost attempt used. Where nothing can be written, the run ends anyway."""
        with suppress(StoreError):
            row = {"run_id": run_id, **rows.usage_columns(usage)}
            self._writer.put_nowait([Write("add_loss", row)], waited_for=False)

    async def lost(self, run_id: str) -> Usage:
        """Return what the lost attempts of a run used in all."""
        found = await self._read("find_loss", {"run_id": run_id}, settled=True)
        return values.usage_of(found[0]) if found else NO_USAGE

    # -- for tests and comparisons ----------------------------------------------------------

    async def dump_rows(self, run_id: str) -> dict[str, list[Row]]:
        """Return all rows of a run by table, without what two equal runs may differ in."""
        return {
            table: rows.ordered(
                await self._read(f"rows_of_{table}", {"run_id": run_id}, settled=True)
            )
            for table in TABLES
        }

    async def _read(self, query: str, row: Row, *, settled: bool = False) -> list[Row]:
        if settled:
            await self._writer.settle()
        try:
            found: Any = await self._reader.execute_fetchall(queries()[query], row)
        except (sqlite3.Error, ValueError) as error:
            raise translate(error, self.path) from error
        return list(found)
