"""A table over real HTTP: the method and the baselines on the same tasks, in one command."""

from __future__ import annotations

import csv
import xml.etree.ElementTree
from pathlib import Path

import pytest

from tests.end_to_end.command import funcforge, settings
from tests.end_to_end.pupil import CALCULATE, Pupil, add, read_question, write_problems
from tests.loopback.brains import is_optimizer
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, text

BASE = """
[agent]
model = "openai/loopback"
[tasks]
path = "problems.jsonl"
train = 12
test = 12
[scorer]
kind = "numeric"
[training]
patience = 1
[models."openai/loopback"]
context_tokens = 128_000
max_output_tokens = 4_096
"""
TABLE = """
name = "Baselines"
note = "On the school's own problems."
base = "base.toml"
seeds = [0]
[[axis]]
name = "method"
[[axis.value]]
name = "no functions"
learn = false
[[axis.value]]
name = "CREATOR"
learn = false
set = { "agent.kind" = "creator" }
[[axis.value]]
name = "CRAFT"
[axis.value.set]
optimizer.kind = "craft"
optimizer.actions_per_step = 20
agent.functions = 2
training = { steps = 1, roll_back = false }
[[axis.value]]
name = "AgentOptimizer"
set = { "training.test_every_version" = true }
[[transfer]]
name = "the same tasks again"
"""


class Student(Pupil):
    """A pupil that can also be asked by the baselines."""

    def __call__(self, ask: Ask) -> Say:
        if is_optimizer(ask) and ask.messages[0].content.startswith("You turn the solution"):
            return add("calculate", CALCULATE)
        if ask.question.startswith("Write the tool:"):
            return text(f"```python{CALCULATE}```")
        if ask.question.startswith("Now write the code"):
            expression = read_question(ask.messages[1].content)
            return text(f"```python\nprint(calculate({expression!r}))\n```")
        if ask.question.startswith("Output:"):
            return text(f"It is \\boxed{{{ask.question.split()[1]}}}.")
        return super().__call__(ask)


def read_pages(folder: Path, told: dict[str, str]) -> tuple[str, list[dict[str, str]]]:
    """The page, and the lines of the CSV file."""
    lines = csv.DictReader((folder / told["csv"]).read_text("utf-8").splitlines())
    return (folder / told["markdown"]).read_text("utf-8"), list(lines)


@pytest.mark.slow
async def test_one_command_runs_a_table_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", 40)
    (tmp_path / "base.toml").write_text(BASE, encoding="utf-8")
    (tmp_path / "table.toml").write_text(TABLE, encoding="utf-8")
    brain = Student(expression=read_question)

    async with LoopbackProvider(brain=brain) as provider:
        where = settings(**{'models__"openai/loopback"__base_url': provider.openai_base_url})
        arguments = ("table", "table.toml", "--json", "--quiet", *where)
        first = await funcforge(*arguments, cwd=tmp_path)
        asked = len(provider.ledger)
        again = await funcforge(*arguments, cwd=tmp_path)

        assert first.code == again.code == 0, first.err + again.err
        assert len(provider.ledger) == asked  # nothing that was done is paid for twice

    rows = {row["method"]: row for row in first.told["rows"]}
    assert list(rows) == ["no functions", "CREATOR", "CRAFT", "AgentOptimizer"]
    plain = rows["no functions"]
    assert max(plain["test_after"]) < 0.7
    for method in ("CREATOR", "CRAFT", "AgentOptimizer"):
        assert min(rows[method]["test_after"]) == 1.0, method
    # the same books for all: what the provider counted is what the rows add up to
    assert sum(row["usage"]["calls"] for row in rows.values()) == asked
    # the untrained agent is the same one in every row
    assert rows["AgentOptimizer"]["test_before"] == rows["CRAFT"]["test_before"]
    assert rows["CRAFT"]["test_before"] == plain["test_after"]

    page, lines = read_pages(tmp_path, first.told)
    assert "On the school's own problems." in page
    assert "looked at the test set" in page
    assert "Not finished" not in page
    assert len(lines) == 4
    crafted = [line for line in lines if line["method"] == "CRAFT"]
    assert {line["transfer: the same tasks again"] for line in crafted} == {"1.0000"}
    assert first.told["markdown"] == ".funcforge/tables/baselines.md"
    xml.etree.ElementTree.parse(tmp_path / first.told["figure"])
    assert again.told["rows"] == first.told["rows"]
