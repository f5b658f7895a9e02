"""What doctor says of a config: everything that is wrong with it, without spending."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.config import load_config
from funcforge.adapters.doctor import Check, check_config
from funcforge.engine.errors import ConfigError

CONFIG = """
[agent]
model = "embedded/apprentice"
{agent}
[tasks]
{tasks}
train = 1
test = 1
[scorer]
{scorer}
"""
SCORERS = """
import time
def right(task, episode): return episode.answer == task.target
def raises(task, episode): return {}["no such key"]
def zero(task, episode): return 0
def stops(task, episode): return next(iter(()))
def leaves(task, episode): raise SystemExit(3)
def hangs(task, episode):
    while True: time.sleep(0.05)
"""
GOOD = {"prompt": "p", "target": "1"}
GAIA = {"task_id": "a", "Question": "q", "Level": 1, "Final answer": "1", "file_name": ""}


def table(size: int) -> dict[str, Any]:
    """A TabMWP file whose second problem has a cell of this size."""
    cells = ["2", "x" * size, "2"]
    return {
        str(at): {
            "question": "q", "choices": None, "answer": "1", "unit": None, "table_title": None,
            "table": f"a | b\n1 | {cell}", "table_for_pd": {"a": ["1"], "b": [cell]},
            "row_num": 2, "column_num": 2, "ques_type": "free_text",
            "ans_type": "integer_number", "grade": 1, "split": "dev",
        }
        for at, cell in enumerate(cells)
    }  # fmt: skip


def lines(*rows: Any) -> bytes:
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )


def check(name: str, folder: Path, *, tasks: str, scorer: str = "", agent: str = "") -> Check:
    """What doctor says of one thing; it looks no further, as models take long to import."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(tasks=tasks, scorer=scorer, agent=agent), encoding="utf-8")
    config = load_config(path, environ={}, purpose="evaluate")
    return next(one for one in check_config(config) if one.name == name)


@pytest.mark.parametrize(
    ("name", "content", "kind", "scorer", "told"),
    [
        ("t.jsonl", lines(GOOD, {"prompt": "q"}), "jsonl", "exact",
         ["t.jsonl, line 2", "target", "no such column"]),
        ("t.jsonl", lines(GOOD, {"prompt": ["q"], "target": "1"}), "jsonl", "exact",
         ["t.jsonl, line 2", "prompt", "must be text, found a list"]),
        ("t.jsonl", lines(GOOD, '{"prompt": "caf\xe9", "target": "1"}'.encode("latin-1")), "jsonl",
         "exact", ["t.jsonl, line 2", "0xe9", "UTF-8 throughout"]),
        ("t.jsonl", lines(GOOD, {"prompt": "x" * 5_000_000, "target": "1"}), "jsonl", "exact",
         ["t.jsonl, line 2", "prompt", "at most 1,000,000 characters, found 5,000,000"]),
        ("t.csv", b"prompt,target\np,1\n" + b"x" * 5_000_000 + b",1\n", "csv", "exact",
         ["t.csv, line 3", "a cell holds at most"]),
        ("t.json", json.dumps(table(5_000_000)).encode(), "tabmwp", "tabmwp",
         ["t.json", "table", "at most 1,000,000 characters"]),
        ("t.jsonl", lines(GAIA, {**GAIA, "task_id": "b", "file_name": "no.pdf"}), "gaia", "gaia",
         ["t.jsonl, line 2", "file_name", "'no.pdf' is missing"]),
        ("t.jsonl", lines(GAIA, {**GAIA, "task_id": "b", "file_name": "../out"}), "gaia", "gaia",
         ["t.jsonl, line 2", "file_name", "lies outside of"]),
    ],
)  # fmt: skip
def test_wrong_tasks_are_named_by_file_row_and_field(
    tmp_path: Path, name: str, content: bytes, kind: str, scorer: str, told: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    tasks = f'kind = "{kind}"\npath = "{name}"'

    found = check("tasks", tmp_path, tasks=tasks, scorer=f'kind = "{scorer}"')

    assert found.state == "missing"
    assert [part for part in told if part not in found.detail] == []


@pytest.mark.parametrize(
    ("function", "state", "told"),
    [
        ("right", "ok", " scores 1"),
        ("zero", "optional", " scores 0"),
        ("raises", "missing", "the scorer raised KeyError on task t-"),
        ("stops", "missing", "StopIteration in the scorer"),
        ("leaves", "missing", "SystemExit in the scorer"),
        ("hangs", "missing", " within 0.3 s"),
    ],
)
def test_the_scorer_judges_one_right_answer(
    tmp_path: Path, function: str, state: str, told: str
) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines(GOOD, {**GOOD, "prompt": "q"}))
    (tmp_path / "mine.py").write_text(SCORERS, encoding="utf-8")
    scorer = f'kind = "mine.py:{function}"\ntimeout_s = 0.3'

    found = check("scorer", tmp_path, tasks='path = "t.jsonl"', scorer=scorer)

    assert found.state == state, found
    assert told in found.detail


@pytest.mark.parametrize(
    ("text", "key", "name", "told"),
    [
        ("Solve. {{answer_format}}", "agent", "agent", "lacks {{instructions}}"),
        ("{{answer_format}} {{instructions}} {{gadgets}}", "agent", "agent", "unknown placeholder"),
        ("Judge it.", "rubric", "scorer", "lacks"),
        ("{{question}} {{answer}} {{target}}", "rubric", "scorer", ""),
    ],
)
def test_a_prompt_is_checked_for_its_placeholders(
    tmp_path: Path, text: str, key: str, name: str, told: str
) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines(GOOD, {**GOOD, "prompt": "q"}))
    (tmp_path / "p.md").write_text(text, encoding="utf-8")
    judge = 'kind = "model_graded"\nmodel = "embedded/apprentice"\nrubric = "p.md"'

    found = check(
        name,
        tmp_path,
        tasks='path = "t.jsonl"',
        agent='prompt = "p.md"' if key == "agent" else "",
        scorer=judge if key == "rubric" else "",
    )

    assert found.state == ("missing" if told else "ok"), found
    assert told in found.detail


def test_a_creator_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines(GOOD, {**GOOD, "prompt": "q"}))

    with pytest.raises(ConfigError, match="python = true"):
        check("agent", tmp_path, tasks='path = "t.jsonl"', agent='kind = "creator"\npython = false')
