"""Every figure of a comparison, from rows whose truth is known by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from funcforge.adapters.views.comparison.efficiency import efficiency
from funcforge.adapters.views.comparison.files import episodes_csv, markdown
from funcforge.adapters.views.comparison.told import comparison_json
from funcforge.adapters.views.comparison.transfer import by_category, transfer
from funcforge.engine.usage import Usage
from funcforge.storage.outcomes import AnsweredCall

from tests.adapters.views.comparison.stored import read, store_comparison

GRID = {
    "openai/a": 0.3, "openai/a + from a": 0.9, "openai/a + from b": 0.35,
    "openai/b": 0.5, "openai/b + from a": 0.55, "openai/b + from b": 0.95,
}  # fmt: skip
LEARNED = [
    {"name": name, "parameters": {"source": f"{name}.json"}} for name in ("from a", "from b")
]


def answered(at_s: float, latency_s: float, usage: Usage, attempts: int = 1) -> AnsweredCall:
    return AnsweredCall(
        first_token_s=None,
        evaluation="arm/a", task_id="t", usage=usage, attempts=attempts, latency_s=latency_s,
        at_unix_s=at_s,
    )  # fmt: skip


def usage(prompt: int, cached: int, completion: int, *, calls: int = 1) -> Usage:
    cost = (prompt - cached) * 3_000_000 + cached * 300_000 + completion * 15_000_000
    return Usage(
        calls=calls, prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion,
        cost_pusd=cost if calls else 0,
    )  # fmt: skip


def test_money_and_time_by_hand() -> None:
    calls = [
        answered(1.0, 1.0, usage(100, 0, 10)),
        answered(1.5, 1.0, usage(200, 50, 10), attempts=3),
        answered(5.0, 2.0, usage(100, 80, 30)),
        answered(9.0, 0.0, usage(100, 0, 10, calls=0)),  # from the cache: no call was made
    ]

    found = efficiency(calls, scored=4, solved=2)

    assert found.busy_s == pytest.approx(1.5 + 2.0)  # 0 to 1.5, and 3 to 5
    assert found.calls_per_minute == pytest.approx(3 / 3.5 * 60)
    assert found.latency_s is not None
    assert found.latency_s[0] == 1.0
    assert found.retries == 2
    assert found.usd_per_task == pytest.approx(found.usage.cost_usd / 4)
    assert found.usd_per_solved == pytest.approx(found.usage.cost_usd / 2)
    assert found.discount_usd == pytest.approx(130 * 2.7e-6)  # cached at a tenth of 3 USD/M
    assert found.cached_share == pytest.approx(130 / 500)


def test_a_discount_that_the_bills_do_not_tell_is_not_made_up() -> None:
    odd = [answered(1.0, 1.0, usage(100 + n, n, 10 * n * n)) for n in range(5)]
    tiered = Usage(calls=1, prompt_tokens=9, cached_tokens=3, completion_tokens=1, cost_pusd=7)

    assert efficiency([*odd, answered(1.0, 1.0, tiered)], scored=1, solved=1).discount_usd is None


def test_an_arm_without_a_call_has_no_speed() -> None:
    found = efficiency([], scored=0, solved=0)

    assert (found.latency_s, found.usd_per_task, found.calls_per_minute) == (None, None, None)


async def test_transfer_is_every_learned_set_on_every_model_against_untrained(
    tmp_path: Path,
) -> None:
    await store_comparison(tmp_path / "runs.db", GRID, tasks=150, learned=LEARNED)
    story = read(tmp_path / "runs.db")

    cells = {(cell.learned, cell.model): cell for cell in transfer(story)}
    kinds = {(cell.arm, cell.category): cell for cell in by_category(story)}

    assert len(cells) == 6
    assert cells["from a", "openai/a"].base == "openai/a"
    sure = {place for place, cell in cells.items() if cell.sure}
    assert sure == {("from a", "openai/a"), ("from b", "openai/b")}
    for cell in cells.values():
        if cell.gain is not None:
            assert cell.gain_low is not None
            assert cell.gain_high is not None
            assert cell.gain_low <= cell.gain <= cell.gain_high
    assert len(kinds) == 6 * 3
    assert sum(cell.tasks for (arm, _), cell in kinds.items() if arm == "openai/a") == 150
    assert kinds["openai/a + from a", "kind 1"].sure


async def test_no_other_arm_beats_those_on_the_front(tmp_path: Path) -> None:
    await store_comparison(tmp_path / "runs.db", {"m/a": 0.2, "m/b": 0.9}, tasks=80)
    story = read(tmp_path / "runs.db")

    # no calls are stored: there is no price to be on a front for
    assert [arm.best_for_latency for arm in story.arms] == [False, False]
    assert comparison_json(story)["arms"][1]["latency_s"] == {"p50": None, "p95": None, "p99": None}


async def test_files_hold_every_score_and_no_text_leaves_its_cell(tmp_path: Path) -> None:
    skills = {"=m/a|b": 0.5, "m/<b>": 0.5}
    await store_comparison(
        tmp_path / "runs.db", skills, tasks=20, repeats=2, fails=lambda arm, task: task == 7
    )
    story = read(tmp_path / "runs.db")

    rows = list(csv.DictReader(io.StringIO(episodes_csv(story, "run"))))
    text = markdown(story, "run")

    assert len(rows) == 2 * 20
    assert {row["arm"] for row in rows} == {"'=m/a|b", "m/<b>"}
    assert [row["score_0"] for row in rows if row["task"] == "task-00007"] == ["", ""]
    assert "=m/a\\|b" in text
    assert "<b>" not in text
    table = text.split("## Accuracy")[1].split("\n\n")[1].splitlines()
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


async def test_the_gate_is_judged_from_the_rows(tmp_path: Path) -> None:
    await store_comparison(
        tmp_path / "runs.db", {"m/a": 0.9, "m/b": 0.4, "m/c": 0.88}, tasks=200,
        fail_if=["accuracy(m/b) < accuracy(m/a) - 0.02", "accuracy(m/c) < accuracy(m/a) - 0.02",
                 "failed(m/a) > 0.1", "cost(m/a) > 1"],
    )  # fmt: skip
    story = read(tmp_path / "runs.db")

    outcomes = [verdict.outcome for verdict in story.gate]
    assert outcomes == ["failed", "cannot tell", "passed", "passed"]
    assert story.gate_failed
    assert comparison_json(story)["gate"]["failed"] is True


def test_a_model_without_a_price_costs_something_unknown_not_nothing() -> None:
    unpriced = Usage(calls=1, prompt_tokens=100, completion_tokens=10)

    found = efficiency([answered(1.0, 1.0, unpriced)], scored=1, solved=1, priced=False)

    assert (found.usd_per_task, found.usd_per_solved, found.discount_usd) == (None, None, None)
    assert found.tokens_per_task == 110
