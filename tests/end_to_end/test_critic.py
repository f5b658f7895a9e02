"""A training without gold from the command line, on API-Bank, with embedded models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.config import load_config

from tests.end_to_end.command import ROOT, funcforge, settings

DATA = ROOT.parent / "shared" / "data" / "api_bank"
EXAMPLE = ROOT / "examples" / "critic.toml"


def options(critic: str, **changes: Any) -> list[str]:
    return settings(
        agent__model="embedded/api-caller",
        agent__python=False,
        agent__turns=4,
        agent__demonstrations=12,
        critic__model=f"embedded/{critic}",
        critic__votes=2,
        critic__seed=0,
        tasks__kind="api_bank",
        tasks__path=str(DATA),
        tasks__train=24,
        tasks__validation=24,
        tasks__test=40,
        environment__kind="api_bank",
        scorer__kind="api_bank",
        selection__strategy="top_share",
        selection__minimum=0,
        optimizer__demonstrations_per_step=16,
        training__acceptance="paper",
        training__samples=3,
        training__patience=0,
        training__epochs=2,
        **changes,
    )


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="API-Bank's data are not in ../shared/data/api_bank")
async def test_a_critic_teaches_without_gold_and_every_view_tells_both(tmp_path: Path) -> None:
    ended = await funcforge("train", EXAMPLE, "--json", "--quiet", *options("critic"), cwd=tmp_path)

    assert ended.code == 0, ended.err
    told = ended.told
    critic = told["critic"]
    assert (critic["signal"], critic["accept_by"]) == ("critic", "critic")
    assert critic["versions"][0]["label"] == "start"
    assert all(one["gold"] is not None for one in critic["versions"])
    trust = critic["reliability"]
    assert trust["compared"] == trust["episodes"] > 100
    assert trust["kappa"] > 0.2
    assert trust["auc"] > 0.65
    assert critic["warnings"] == []
    first, *_, last = [one for one in critic["versions"] if one["in_use"]]
    moved = critic["divergence"]
    assert moved["tasks"] == 24
    for judge in ("critic", "gold"):
        assert moved[f"{judge}_before"] == pytest.approx(first[judge])
        assert moved[f"{judge}_after"] == pytest.approx(last[judge])
    shown = await funcforge("show", told["run_id"], "--html", "report.html", cwd=tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in ("Cohen's kappa", "agrees with itself", "step 1"):
        assert text in shown.out
    for text in ("Critic and gold", "Cohen&#39;s kappa", "calibration error"):
        assert text in page


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="API-Bank's data are not in ../shared/data/api_bank")
async def test_a_critic_that_always_says_yes_is_reported_everywhere(tmp_path: Path) -> None:
    ended = await funcforge(
        "train", EXAMPLE, "--json", *options("critic-yes", training__steps=1), cwd=tmp_path
    )

    assert ended.code == 0, ended.err
    [warning] = ended.told["critic"]["warnings"]
    assert warning.startswith("no information: the critic gave all")
    assert "its judgements hold no information" in ended.err
    shown = await funcforge("show", ended.told["run_id"], "--html", "r.html", cwd=tmp_path)
    assert "no information" in shown.out
    assert "no information" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_example_is_a_whole_config(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"id": "a", "prompt": "b"}', encoding="utf-8")

    config = load_config(EXAMPLE, environ={}, overrides=[f'tasks.path="{tasks}"'])

    assert config.training.signal == "critic"
    assert json.dumps(config.record())
