from __future__ import annotations

import json
from pathlib import Path

import pytest
from funcforge.adapters.cli.app import invoke

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart.toml"


def test_a_plan_says_what_a_budget_can_find(capsys: pytest.CaptureFixture[str]) -> None:
    code = invoke(["plan", str(QUICKSTART), "--episodes", "20000", "--json"])

    planned = json.loads(capsys.readouterr().out)
    assert code == 0
    assert planned["tasks"] == 90
    assert 0 < planned["detectable_gain"] < 0.1
    assert [need["gain"] for need in planned["needs"]] == [0.05, 0.1]


def test_a_budget_that_cannot_decide_is_said_beforehand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    invoke(["plan", str(QUICKSTART), "--episodes", "20", "--json"])

    assert json.loads(capsys.readouterr().out)["decides"] is False
