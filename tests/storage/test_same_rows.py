"""Invariants 5 and 8: the rows of a whole training depend neither on the store, nor on how many
episodes are in flight, nor on stops on the way.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest
from funcforge.engine.budget import Caps
from funcforge.engine.messages import Request
from funcforge.engine.parameters import AddFunction
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import Splits
from funcforge.engine.training_settings import TrainingSettings
from funcforge.storage.database import open_store
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel, function, tasks
from tests.engine.runs import parts, training_run

SCRIPT = [
    [AddFunction(function=function("solve_a"))],
    [AddFunction(function=function("useless"))],
    [AddFunction(function=function("solve_b"))],
]
SPLITS = Splits(train=tasks(12), test=tasks(20))
SETTINGS = TrainingSettings(optimizer_model="test/optimizer", stopping=Stopping(patience=0))


async def train(store: Any, in_flight: int, *, caps: Caps | None = None, **run: Any) -> str:
    jitter = random.Random(in_flight)

    async def answer(request: Request) -> str:
        for _ in range(jitter.randrange(4)):  # episodes end in another order each time
            await anyio.lowlevel.checkpoint()
        return request.messages[-1].content

    made = parts(
        store, model=ProgrammedModel(answer), in_flight=in_flight, caps=caps or Caps()
    )  # fmt: skip
    outcome = await training_run(SPLITS, SCRIPT, parts=made, settings=SETTINGS, **run).wait()
    return outcome.status


@pytest.fixture
async def undisturbed() -> dict[str, list[dict[str, Any]]]:
    store = MemoryStore()
    assert await train(store, 1) == "done"
    return await store.dump_rows("run")


@pytest.mark.parametrize("in_flight", [1, 8, 256])
async def test_the_rows_are_the_same_in_both_stores_at_any_concurrency(
    tmp_path: Path, undisturbed: dict[str, list[dict[str, Any]]], in_flight: int
) -> None:
    memory = MemoryStore()

    await train(memory, in_flight)
    async with open_store(tmp_path / "runs.db") as sqlite:
        await train(sqlite, in_flight)
        rows = await sqlite.dump_rows("run")

    assert rows == undisturbed
    assert await memory.dump_rows("run") == undisturbed
    assert len(rows["decisions"]) == 2
    assert len(rows["calls"]) == len({(row["scope"], row["idx"]) for row in rows["calls"]})


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
async def test_a_run_that_was_stopped_on_the_way_ends_with_the_same_rows(
    tmp_path: Path, undisturbed: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    twin = MemoryStore()
    statuses = []
    rows: dict[str, list[dict[str, Any]]] = {}

    for number, calls in enumerate((5, 23, 47, 60, 1_000)):
        caps, resumed = Caps(calls=calls), number > 0
        if kind == "memory":
            statuses.append(await train(twin, 8, caps=caps, resumed=resumed))
            rows = await twin.dump_rows("run")
            continue
        async with open_store(tmp_path / "runs.db") as store:  # each time as another process
            statuses.append(await train(store, 8, caps=caps, resumed=resumed))
            rows = await store.dump_rows("run")

    assert statuses[0] == "paused"
    assert statuses[-1] == "done"
    assert rows == undisturbed
