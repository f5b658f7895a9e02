from __future__ import annotations

import json
from pathlib import Path

import pytest
from funcforge.adapters.cli import running
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


@pytest.mark.parametrize(
    ("policy", "climb", "calls", "said"),
    [("sequential", "true", 30, True), ("sequential", "false", 60, True),
     ("sequential", "true", 5000, False), ("sequential", "false", 5000, False),
     ("paper", "true", 60, False)],
)  # fmt: skip
def test_a_training_says_before_it_starts_that_its_budget_cannot_decide(
    policy: str,
    climb: str,
    calls: int,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(running, "run_to_end", lambda *_: 0)  # what follows is not asked here
    settings = [f"training.acceptance={policy}", f"budget.calls={calls}"]
    if policy == "sequential":
        settings.append(f"training.acceptance_options.climb={climb}")

    invoke(["train", str(QUICKSTART), *(a for s in settings for a in ("--set", s))])

    assert ("cannot reach a decision" in capsys.readouterr().err) is said
