"""A process that stores and says what was acknowledged, to be killed at any moment.

    python -m tests.faults.storing DATABASE RUN CALLERS FIRST

prints `scope/index` for each call once `commit_call` has returned, and `checkpoint N` likewise.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

import anyio
from funcforge.engine.checkpoint import Checkpoint
from funcforge.storage.database import open_store
from funcforge.storage.store import SqliteStore

from tests.storage.content import call, episode, finished, run


async def main(path: str, run_id: str, callers: int, first: int) -> None:
    async with open_store(path) as store:
        await store.begin(run(run_id))
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        async with anyio.create_task_group() as group:
            for number in range(callers):
                group.start_soon(work, store, run_id, number, first)
            group.start_soon(checkpoint, store, run_id, first)


async def work(store: SqliteStore, run_id: str, number: int, first: int) -> None:
    for index in count(first):
        await store.commit_call(call(index, scope=f"s{number}", run_id=run_id))
        acknowledge(f"s{number}/{index}")


async def checkpoint(store: SqliteStore, run_id: str, first: int) -> None:
    for step in count(first):
        for repeat in range(5):
            await store.handle(finished(episode(f"t{step}", repeat=repeat, run_id=run_id)))
        await store.save_checkpoint(run_id, Checkpoint(step=step, state={"step": step}))
        acknowledge(f"checkpoint {step}")


def acknowledge(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
