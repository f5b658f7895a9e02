from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "tasks.train=40", "tasks.validation=20", "tasks.test=10", "training.epochs=1",
    "training.patience=0",
)  # fmt: skip


def funcforge(folder: Path, *arguments: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "funcforge", *arguments, "--json", "--quiet"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("replay")
    overrides = [part for setting in SMALL for part in ("--set", setting)]
    code, result = funcforge(
        folder, "train", str(ROOT / "examples" / "quickstart.toml"), *overrides
    )
    assert code == 0
    return folder, result["run_id"]


def test_a_replay_is_identical_to_its_record(trained: tuple[Path, str]) -> None:
    folder, run_id = trained

    code, replayed = funcforge(folder, "replay", run_id)

    assert (code, replayed["identical"]) == (0, True), replayed
    assert replayed["compared"]["decisions"] >= 1
    assert replayed["compared"]["calls"] > 70


@pytest.mark.slow
@pytest.mark.parametrize("climb", ["false", "true"])
def test_a_policy_that_looks_many_times_decides_the_same_in_a_replay(
    tmp_path: Path, climb: str
) -> None:
    policy = ("training.acceptance=sequential", f"training.acceptance_options.climb={climb}")
    settings = (*SMALL[:3], "training.steps=3", *policy)
    overrides = [part for setting in settings for part in ("--set", setting)]
    config = str(ROOT / "examples" / "quickstart.toml")
    code, result = funcforge(tmp_path, "train", config, *overrides)
    assert code == 0
    assert [one["outcome"] for one in result["decisions"]].count("unchanged") < 2

    code, replayed = funcforge(tmp_path, "replay", result["run_id"])

    assert (code, replayed["identical"]) == (0, True), replayed
    assert replayed["compared"]["decisions"] == len(result["decisions"])


def test_a_replay_shows_the_first_difference(trained: tuple[Path, str]) -> None:
    folder, run_id = trained
    with sqlite3.connect(folder / ".funcforge" / "runs.db") as database:
        database.execute(
            "UPDATE episodes SET score = 1 - score WHERE rowid = (SELECT min(rowid) FROM episodes)"
        )
    database.close()

    code, replayed = funcforge(folder, "replay", run_id)

    assert (code, replayed["identical"]) == (1, False)
    assert "episodes, row" in replayed["difference"]
    assert "score was" in replayed["difference"]


def test_a_second_run_takes_the_replies_of_the_first_from_the_cache(tmp_path: Path) -> None:
    overrides = [part for setting in (*SMALL, "store.cache=true") for part in ("--set", setting)]
    config = str(ROOT / "examples" / "quickstart.toml")

    _, first = funcforge(tmp_path, "train", config, *overrides)
    _, second = funcforge(tmp_path, "train", config, *overrides)

    assert first["usage"]["calls"] > 70
    assert second["usage"]["calls"] == 0
    assert second["after"] == first["after"]
    assert second["functions"] == first["functions"]
