"""A training in which real models' words come over real HTTP: recorded dialogues and proposals."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.end_to_end.command import funcforge, settings
from tests.loopback.provider import LoopbackProvider
from tests.loopback.transcripts import (
    RECORDED,
    Transcripts,
    read_proposals,
    read_transcripts,
    write_tasks,
)

CONFIG = """
name = "recorded algebra"

[agent]
model = "openai/gpt-4o-mini"

[tasks]
train = 20
test = 10

[scorer]
kind = "math"

[training]
steps = 2
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not RECORDED.exists(), reason="the recorded dialogues are not in ../shared/data"
    ),
]


async def test_a_training_over_recorded_algebra_runs_from_start_to_report(tmp_path: Path) -> None:
    dialogues = read_transcripts("algebra")
    brain = Transcripts(dialogues, read_proposals("train/algebra_0"))
    train, test = write_tasks(tmp_path, dialogues)
    config = tmp_path / "algebra.toml"
    config.write_text(CONFIG, encoding="utf-8")

    async with LoopbackProvider(brain=brain) as provider:
        base_url = provider.openai_base_url
        ended = await funcforge(
            "train",
            config,
            "--json",
            "--quiet",
            *settings(
                tasks__train__path=str(train),
                tasks__test__path=str(test),
                **{'models__"openai/gpt-4o-mini"__base_url': base_url},
            ),
            cwd=tmp_path,
        )
        ledger = provider.ledger
    shown = await funcforge("show", "latest", "--json", "--html", "report.html", cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert ended.told["status"] == "done"
    assert ended.told["stopped_by"] in ("steps", "solved")  # our scorer misses no right answer
    assert brain.unknown == []
    assert ledger.outcomes() == {"answered": len(ledger)}
    assert ended.told["usage"]["calls"] == len(ledger)
    assert ended.told["before"]["test"]["score"] > 0.5  # as good as gpt-4o-mini was
    assert ended.told["before"]["test"]["failed"] == ended.told["before"]["train"]["failed"] == 0
    assert 1 <= len(ended.told["decisions"]) <= 3  # two steps, and the proof of what is promising
    # the recorded proposals became functions that the agent was offered
    ledger_entries = shown.told["ledger"]
    assert ledger_entries
    assert all(entry["complexity"] >= 1 for entry in ledger_entries)
    report = (tmp_path / "report.html").read_text("utf-8")
    assert all(entry["name"] in report for entry in ledger_entries)
    with sqlite3.connect(tmp_path / ".funcforge" / "runs.db") as database:
        outcomes = dict(
            database.execute("SELECT outcome, count(*) FROM function_calls GROUP BY outcome")
        )
    database.close()
    assert outcomes.get("value", 0) > 0  # its code ran in the sandbox
    assert "system_failure" not in outcomes
