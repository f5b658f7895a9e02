"""The first run, whole: command line, LiteLLM, sandbox, SQLite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap"),
]


def train(folder: Path, *overrides: str) -> dict[str, Any]:
    settings = [part for override in overrides for part in ("--set", override)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "funcforge", "train"),
            *(str(EXAMPLES / "quickstart.toml"), "--json", *settings),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_the_agent_gets_better_on_tasks_it_has_never_seen(tmp_path: Path) -> None:
    result = train(tmp_path)

    assert result["before"]["test"]["score"] <= 0.3
    assert result["after"]["test"]["score"] >= 0.9
    assert "rolled_back" in [decision["outcome"] for decision in result["decisions"]]
    assert result["stopped_by"] == "patience"
    assert result["usage"]["cost_usd"] == 0


def test_with_permuted_answers_nothing_is_learned(tmp_path: Path) -> None:
    text = (EXAMPLES / "quickstart.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    # every task gets the answer of one that is a few families further
    targets = [row["target"] for row in rows]
    permuted = tmp_path / "permuted.jsonl"
    permuted.write_text(
        "".join(
            json.dumps({**row, "target": targets[(i * 7 + 160) % len(rows)]}) + "\n"
            for i, row in enumerate(rows)
        ),
        encoding="utf-8",
    )

    result = train(tmp_path, f"tasks.path={permuted}")

    assert result["after"]["test"]["score"] <= 0.05
    assert {d["outcome"] for d in result["decisions"]} <= {"rolled_back", "unchanged"}


def test_without_the_right_answers_nothing_is_learned(tmp_path: Path) -> None:
    result = train(tmp_path, "optimizer.feedback=score")

    assert result["functions"] == []
    assert {decision["outcome"] for decision in result["decisions"]} == {"unchanged"}
