"""Invariant 3 for a comparison: killed in the middle, it ends as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge import Opening, load_config, open_comparison

from tests.end_to_end.command import funcforge, start
from tests.end_to_end.leftovers import until
from tests.end_to_end.test_comparison import arm, write
from tests.faults.killing import stored
from tests.loopback.process import provider_process
from tests.loopback.wire import Ask, Say, text

TASKS, IN_FLIGHT = 60, 8


def boxed(ask: Ask) -> Say:
    """Answer at once, one episode a call."""
    return text(f"\\boxed{{{ask.question.split()[-1]}}}")


@pytest.mark.slow
async def test_a_killed_comparison_repeats_no_more_than_what_was_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    ledger = tmp_path / "ledger.jsonl"
    async with provider_process(
        "--latency", "0.2", brain="tests.faults.test_comparison_killed:boxed", ledger_path=ledger
    ) as provider:
        url = provider.openai_base_url
        arms = arm("a", "openai/a", url) + arm("b", "openai/b", url)
        file = write(tmp_path, arms, TASKS, f"[store]\npath = '{tmp_path / 'runs.db'}'")
        file.write_text(file.read_text().replace("[limits]", f"[limits]\nin_flight = {IN_FLIGHT}"))
        process = await start("compare", file, "--quiet", cwd=tmp_path)
        await until(lambda: ledger.exists() and len(provider.ledger) > TASKS // 2, within_s=120)
        process.kill()
        await process.communicate()
        before = len(provider.ledger)

        resumed = await funcforge(
            "resume", "latest", "--store", tmp_path / "runs.db", "--json", cwd=tmp_path
        )
        asked = len(provider.ledger)
        config = load_config(file, overrides=[f"store.path={tmp_path / 'peace.db'}"], environ={},
                             purpose="compare")  # fmt: skip
        async with open_comparison(config, Opening(run_id="peace")) as run:
            assert (await run.wait()).status == "done"

    assert resumed.code == 0, resumed.err
    assert before < 2 * TASKS
    assert asked <= 2 * TASKS + 2 * IN_FLIGHT
    assert [one["episodes"] for one in resumed.told["arms"]] == [TASKS, TASKS]
    peace = await stored(tmp_path / "peace.db", "peace")
    rows = await stored(tmp_path / "runs.db", resumed.told["run_id"])
    for table in ("evaluations", "episodes", "calls", "events", "parameters"):
        assert rows[table] == peace[table], table
