"""Invariants 5 and 8: neither concurrency, nor latency, nor the store changes what comes out."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from funcforge import MemoryStore, Opening, open_training
from funcforge.adapters.cli.app import invoke
from funcforge.storage.database import open_store
from funcforge.storage.store import SqliteStore

from tests.end_to_end.lessons import load_lesson, write_lesson
from tests.end_to_end.pupil import pupil
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say

TRAIN, TEST = 16, 244  # 260 episodes are ready to go at the start


@dataclass
class Shuffled:
    """The pupil, who takes a different time over every call in every run."""

    seed: int
    longest_s: float

    async def __call__(self, ask: Ask) -> Say:
        drawn = random.Random(f"{self.seed}/{ask.hash}/{ask.attempt}").random()
        await asyncio.sleep(drawn * self.longest_s)
        return pupil()(ask)


@dataclass
class Ran:
    """What came out."""

    parameters: Any
    progress: Any
    usage: Any
    rows: dict[str, list[Any]]
    peak: int


async def train(
    config_file: Path,
    store: SqliteStore | MemoryStore,
    *,
    in_flight: int,
    seed: int,
    **changes: Any,
) -> Ran:
    brain = Shuffled(seed=seed, longest_s=in_flight / 200)
    async with LoopbackProvider(brain=brain) as provider:
        config = load_lesson(
            config_file, provider.openai_base_url, limits__in_flight=in_flight, **changes
        )
        async with open_training(config, Opening(run_id="lesson", store=store)) as run:
            outcome = await run.wait()
        assert outcome.value is not None, outcome.message
        rows = await store.dump_rows("lesson")
        rows["runs"] = [  # the config names the address and the number in flight
            {key: value for key, value in dict(row).items() if key != "config"}
            for row in rows["runs"]
        ]
        return Ran(
            parameters=outcome.value.parameters,
            progress=outcome.value.progress.to_json(),
            usage=outcome.usage,
            rows=rows,
            peak=provider.ledger.peak_in_flight,
        )


def export(database: Path, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert invoke(["export", "lesson", "--store", str(database), "--format", form]) == 0
    return capsys.readouterr().out


async def test_one_eight_or_256_in_flight_give_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_lesson(tmp_path, train=TRAIN, test=TEST)
    ran: dict[int, Ran] = {}
    exports: dict[int, list[str]] = {}

    for seed, in_flight in enumerate((1, 8, 256)):
        database = tmp_path / f"{in_flight}.db"
        async with open_store(database) as store:
            ran[in_flight] = await train(config, store, in_flight=in_flight, seed=seed)
        exports[in_flight] = [export(database, form, capsys) for form in ("python", "openai")]
    memory = await train(config, MemoryStore(), in_flight=64, seed=9)

    decided = {row["step"]: row["outcome"] for row in ran[1].rows["decisions"]}
    assert decided == {1: "rolled_back", 2: "accepted", 3: "rolled_back", 4: "unchanged"}
    assert (ran[1].peak, ran[8].peak) == (1, 8)
    assert ran[256].peak > 16  # the limiter feels its way up, as far as the machine's load lets it
    for other in (ran[8], ran[256], memory):
        assert other.parameters == ran[1].parameters
        assert other.progress == ran[1].progress
        assert other.usage == ran[1].usage
        assert other.rows.keys() == ran[1].rows.keys()
        for table, rows in ran[1].rows.items():
            assert other.rows[table] == rows, table
    assert exports[1] == exports[8] == exports[256]
    assert "def calculate(" in exports[1][0]


@pytest.mark.slow
async def test_worker_processes_give_the_same_bytes_as_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-tests")
    config = write_lesson(tmp_path, train=8, test=24)

    async with open_store(tmp_path / "runs.db") as store:
        ran = await train(
            config, store, in_flight=16, seed=1, executor__kind="processes", executor__workers=2
        )

    alone = await train(config, MemoryStore(), in_flight=4, seed=2)
    assert ran.parameters == alone.parameters
    assert ran.progress == alone.progress
    assert ran.usage == alone.usage
    assert ran.rows == alone.rows
