"""The API-Bank example trains, on a small data folder, the same whatever is in flight."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.config import load_config
from funcforge.adapters.opening import Opening
from funcforge.adapters.wiring import open_evaluation, open_training
from funcforge.storage.memory import MemoryStore

from tests.adapters.environments.bank import write_bank

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "api_bank.toml"
pytestmark = pytest.mark.slow


def written(folder: Path) -> Path:
    """A data folder with enough dialogues for three splits."""
    write_bank(folder)
    for number in range(6):
        shutil.copy(folder / "level-1-x" / "alarm.jsonl", folder / "level-1-x" / f"a{number}.jsonl")
    return folder


async def test_rows_are_the_same_at_any_concurrency_and_on_replay(tmp_path: Path) -> None:
    folder = written(tmp_path / "bank")
    stores = {in_flight: MemoryStore() for in_flight in (1, 64)}
    rows: dict[int, Any] = {}

    for in_flight, store in stores.items():
        config = load_config(
            EXAMPLE, environ={}, purpose="evaluate",
            overrides=[f'tasks.path="{folder}"', "tasks.train=1", "tasks.validation=1",
                       f"limits.in_flight={in_flight}", "training.repeats=6"],
        )  # fmt: skip
        opening = Opening(run_id="run", store=store)
        async with open_evaluation(config, opening=opening) as run:
            outcome = await run.wait()
        assert outcome.status == "done", outcome.message
        rows[in_flight] = await store.dump_rows("run")

    for made in rows.values():
        del made["runs"]  # its config says how much was in flight
    assert rows[1] == rows[64]
    replayed = Opening(run_id="run", store=stores[1], offline=True, resume=True)
    async with open_evaluation(config, opening=replayed) as run:
        again = await run.wait()
    assert again.value == outcome.value


async def test_the_example_trains_to_its_end(tmp_path: Path) -> None:
    folder = written(tmp_path / "bank")
    config = load_config(
        EXAMPLE, environ={}, purpose="train",
        overrides=[f'tasks.path="{folder}"', "tasks.train=4", "tasks.validation=4",
                   'tasks.test="rest"', "training.epochs=1", "training.patience=0"],
    )  # fmt: skip

    async with open_training(config, Opening(store=MemoryStore())) as run:
        outcome = await run.wait()

    assert outcome.status == "done", outcome.message
