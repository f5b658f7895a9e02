"""Resuming what must not be resumed: a clear refusal, and nothing is changed or paid for."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest
from funcforge import Opening, open_training
from funcforge.adapters.cli.app import invoke
from funcforge.engine.errors import ConfigError
from funcforge.storage.runs import RunReader

from tests.end_to_end.command import funcforge
from tests.end_to_end.leftovers import until
from tests.end_to_end.lessons import load_lesson, write_lesson
from tests.end_to_end.pupil import pupil, write_problems
from tests.loopback.provider import LoopbackProvider


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")


def invoked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    capsys.readouterr()
    code = invoke([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


async def pause(folder: Path, run_id: str) -> Path:
    """Leave a run that ran out of its budget; return its database."""
    database = folder / "runs.db"
    config_file = write_lesson(folder, train=8, test=8)
    async with LoopbackProvider(brain=pupil()) as provider:
        config = load_lesson(
            config_file, provider.openai_base_url, budget__calls=5, store__path=str(database)
        )
        async with open_training(config, Opening(run_id=run_id)) as run:
            outcome = await run.wait()
        assert outcome.status == "paused"
        with pytest.raises(ConfigError, match="a run 'r' already"):
            async with open_training(config, Opening(run_id=run_id)):
                pass
    return database


def test_a_run_goes_on_only_with_what_it_was_begun_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = anyio.run(pause, tmp_path, "r")
    resume = ("resume", "r", "--store", database, "--quiet")

    seed = invoked(capsys, *resume, "--set", "seed=5", "--set", "agent.temperature=1")
    write_problems(tmp_path / "problems.jsonl", 16, seed=1)
    tasks = invoked(capsys, *resume)
    unknown = invoked(capsys, "resume", "nobody", "--store", database)
    with sqlite3.connect(database) as newer:
        newer.execute("UPDATE runs SET status = 'done'")
    done = invoked(capsys, *resume)
    with sqlite3.connect(database) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    too_new = invoked(capsys, *resume)

    assert seed[0] == tasks[0] == unknown[0] == done[0] == too_new[0] == 2
    assert "seed: was 0, now 5" in seed[1]
    assert "agent.temperature: was 0.0, now 1.0" in seed[1]
    assert "tasks.train: the tasks themselves are others" in tasks[1]
    assert "nobody" in unknown[1]
    assert "run r is done: there is nothing to resume" in done[1]
    assert "a newer funcforge wrote this database (version 99" in too_new[1]
    assert str(database) in too_new[1]


async def test_a_run_of_a_living_process_is_not_taken_over(tmp_path: Path) -> None:
    database = tmp_path / "runs.db"
    config_file = write_lesson(tmp_path, train=8, test=8)
    async with LoopbackProvider(brain=pupil(), latency_s=60.0) as provider:
        config = load_lesson(config_file, provider.openai_base_url, store__path=str(database))
        async with open_training(config, Opening(run_id="mine")) as run:
            run.run()
            await until(lambda: provider.ledger.in_flight == 16)  # all there are
            asked = len(provider.ledger)

            other = await funcforge("resume", "mine", "--store", database, cwd=tmp_path)

            with RunReader(database) as reader:
                status = reader.runs()[0].status
        assert len(provider.ledger) == asked

    assert other.code == 2
    assert "run mine" in other.err
    assert "is worked on by process" in other.err
    assert status == "running"
