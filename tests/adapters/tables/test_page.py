"""A table as Markdown, CSV and a figure."""

from __future__ import annotations

import csv
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from funcforge.adapters.config import load_config
from funcforge.adapters.tables.figure import svg
from funcforge.adapters.tables.page import as_csv, markdown
from funcforge.adapters.tables.plan import Job, Plan
from funcforge.adapters.tables.rows import Result, rows_of
from funcforge.adapters.views.story import Scored
from funcforge.engine.usage import Usage

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart.toml"
HOSTILE = 'a|b <script>"\x1b[2J'


def scored(score: float) -> Scored:
    return Scored(
        evaluation="test/0", version="v", score=score, low=score / 2, high=1.0, tasks=80, failed=1
    )


@pytest.fixture
def plan() -> Plan:
    config = load_config(QUICKSTART, environ={})
    jobs = tuple(
        Job(labels=(kind, "ReAct"), seed=seed, learn=True, run_id=f"r-{seed}", config=config)
        for kind in ("Algebra", HOSTILE)
        for seed in (0, 1)
    )
    return Plan(name=HOSTILE, note="", axes=("type", "agent"), transfers=("Sums",), jobs=jobs)


def results(plan: Plan) -> list[Result]:
    """Both seeds of the first row, one of the second."""
    return [
        Result(
            job=job, train=(scored(0.5), scored(0.6 + at / 10)),
            test=(scored(0.4), scored(0.5 + at / 5)), accepted=1, steps=3, functions=2 + at,
            complexity=3.5, calls=12, usage=Usage(calls=10, prompt_tokens=100, cost_pusd=10**12),
            seconds=2.0, curve={0: 0.4, 1: 0.8, 3: 0.5} if at == 0 else {},
            transfers={"Sums": scored(0.25)} if at == 0 else {},
        )
        for at, job in enumerate(plan.jobs[:3])
    ]  # fmt: skip


def test_scores_are_means_with_their_spread_over_the_seeds(plan: Plan) -> None:
    text = markdown(plan, rows_of(plan, results(plan)), figure="f.svg", made="today")

    rows = [line for line in text.splitlines() if line.startswith("| Algebra | ReAct | 2 |")]
    assert rows == [
        "| Algebra | ReAct | 2 | 50.0 ± 0.0 → 65.0 ± 7.1 | 40.0 ± 0.0 → 60.0 ± 14.1 | +20.0 ± 14.1 "
        "| 25.0 | 1 of 3 | 2.5 | 3.5 | 20 | 200 | 2.00 USD |"
    ]
    assert "40.0 → 90.0 [45.0, 100.0]" in text  # a single seed has its own interval
    assert "**Not finished: 1 of 4 runs are missing.**" in text
    assert "![" in text
    assert "(f.svg)" in text
    assert "\x1b" not in text
    bars = {line.replace("\\|", "").count("|") for line in text.splitlines() if "ReAct |" in line}
    assert len(bars) == 3  # a bar in a name breaks none of the three tables


def test_a_curve_on_the_test_set_says_that_it_is_no_result(plan: Plan) -> None:
    text = markdown(plan, rows_of(plan, results(plan)), figure="f.svg", made="today")

    assert "looked at the test set" in text
    assert "| Algebra, ReAct | 0 | 0: 40.0%, 1: 80.0%, 3: 50.0% | 1 | no |" in text


def test_the_csv_has_a_line_for_each_run(plan: Plan) -> None:
    lines = list(csv.DictReader(as_csv(plan, rows_of(plan, results(plan))).splitlines()))

    assert [(line["type"], line["seed"], line["test_after"]) for line in lines] == [
        ("Algebra", "0", "0.5000"), ("Algebra", "1", "0.7000"), (HOSTILE, "0", "0.9000"),
    ]  # fmt: skip
    assert [line["transfer: Sums"] for line in lines] == ["0.2500", "", ""]


def test_the_figure_is_one_picture_that_asks_for_nothing(plan: Plan) -> None:
    text = svg(plan.name, rows_of(plan, results(plan)))

    root = xml.etree.ElementTree.fromstring(text)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {
        "svg", "rect", "text", "line", "circle",
    }  # fmt: skip
    assert "&lt;script&gt;" in text


def test_a_table_without_results_is_still_a_page(plan: Plan) -> None:
    empty = replace(plan, jobs=())

    assert "# " in markdown(empty, [], figure="f.svg", made="today")
    xml.etree.ElementTree.fromstring(svg("", []))
