"""What may change between the stop of a run and its resumption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from funcforge.adapters.config import load_config
from funcforge.adapters.resuming import check_new, check_resumable
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.errors import ConfigError, RunNotFound

from tests.end_to_end.lessons import write_lesson


def record(folder: Path, *overrides: str) -> RunRecord:
    config = load_config(
        write_lesson(folder, train=4, test=4), overrides=list(overrides), environ={}
    )
    return RunRecord(
        id="r",
        kind="train",
        name="lesson",
        config=config.record(),
        seed=config.seed,
        task_hashes={"train": "aa", "test": "bb"},
        status="paused",
    )


@pytest.mark.parametrize(
    "change",
    [
        "budget.calls=10",
        "limits.in_flight=3",
        "limits.accounts.openai.requests_per_minute=60",
        "log.level='debug'",
        "store.path='elsewhere.db'",
        "name='another'",
        "training.epochs=20",
        "training.patience=3",
        "sandbox.processes=1",
        "models.'openai/loopback'.base_url='http://127.0.0.1:1/v1'",
        "models.'openai/loopback'.prompt_usd_per_million=3.0",
    ],
)
def test_what_cannot_mix_results_may_change(tmp_path: Path, change: str) -> None:
    check_resumable(record(tmp_path), record(tmp_path, change))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("seed=1", "seed: was 0, now 1"),
        ("agent.model='openai/other'", "agent.model: was 'openai/loopback', now 'openai/other'"),
        ("agent.temperature=1.0", "agent.temperature: was 0.0, now 1.0"),
        ("agent.instructions='be brief'", "agent.instructions: was '', now 'be brief'"),
        ("optimizer.model='openai/other'", "optimizer.model: was not set, now 'openai/other'"),
        ("optimizer.feedback='target'", "optimizer.feedback: was 'score', now 'target'"),
        ("training.acceptance='sequential'", "training.acceptance: was 'paper'"),
        ("training.acceptance_options.x=1", "training.acceptance_options.x: was not set, now 1"),
        ("training.batch_size=2", "training.batch_size: was 0, now 2"),
        ("scorer.kind='exact'", "scorer.kind: was 'numeric', now 'exact'"),
        ("sandbox.seconds=1", "sandbox.seconds: was 10.0, now 1.0"),
        ("models.'openai/loopback'.extra.top_p=0.5", "extra.top_p: was not set, now 0.5"),
    ],
)
def test_what_would_mix_results_is_refused_by_name_and_value(
    tmp_path: Path, change: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_resumable(record(tmp_path), record(tmp_path, change))

    assert told in str(refused.value)
    assert "begin a new run" in str(refused.value)


def test_other_tasks_are_refused_even_under_the_same_path(tmp_path: Path) -> None:
    stored = record(tmp_path)

    with pytest.raises(ConfigError, match=r"tasks\.test: the tasks themselves are others"):
        check_resumable(stored, replace(stored, task_hashes={"train": "aa", "test": "cc"}))


def test_an_evaluation_is_no_training(tmp_path: Path) -> None:
    stored = record(tmp_path)

    with pytest.raises(ConfigError, match="begun to train, and is now to evaluate"):
        check_resumable(stored, replace(stored, kind="evaluate"))


def test_what_has_ended_does_not_go_on(tmp_path: Path) -> None:
    stored = replace(record(tmp_path), status="done")

    with pytest.raises(ConfigError, match="run r is done"):
        check_resumable(stored, stored)


def test_an_unknown_run_is_not_begun_by_resuming_it(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match="no run 'r'"):
        check_resumable(None, record(tmp_path))


def test_a_new_run_is_not_begun_over_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a run 'r' already"):
        check_new(record(tmp_path), record(tmp_path))
