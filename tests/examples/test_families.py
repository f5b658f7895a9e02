"""The word problems of the first run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from funcforge.adapters.config import load_config

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def generate(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "families.py"), *arguments],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_tasks_of_the_quickstart_are_what_the_generator_makes() -> None:
    made = generate("--seed", "7", "--per-family", "25")

    assert made == (EXAMPLES / "quickstart.jsonl").read_text(encoding="utf-8")


def test_another_seed_makes_other_tasks_of_the_same_families() -> None:
    rows = [[json.loads(line) for line in generate("--seed", s).splitlines()] for s in ("1", "2")]

    assert {row["prompt"] for row in rows[0]}.isdisjoint(row["prompt"] for row in rows[1])
    assert [row["id"] for row in rows[0]] == [row["id"] for row in rows[1]]


def test_there_are_at_least_ten_families_of_25_different_tasks() -> None:
    rows = [json.loads(line) for line in generate().splitlines()]

    assert set(Counter(row["category"] for row in rows).values()) == {25}
    assert len({row["category"] for row in rows}) >= 10
    assert len({row["prompt"] for row in rows}) == len(rows) == len({row["id"] for row in rows})


def test_targets_are_numbers_rounded_as_the_question_says() -> None:
    for line in generate().splitlines():
        row = json.loads(line)
        decimals = re.search(r"Round to (\d) decimal", row["prompt"])

        assert re.fullmatch(r"\d+(\.\d+)?", row["target"])
        assert len(row["target"].partition(".")[2]) == (int(decimals[1]) if decimals else 0)


def test_most_tasks_hold_a_number_that_does_not_matter() -> None:
    rows = [json.loads(line) for line in generate().splitlines()]
    signs = ("years old", "chairs", "newspaper", "Bus number", "lives at", "stamps", "song", "fair")

    distracted = [row for row in rows if any(sign in row["prompt"] for sign in signs)]

    assert len(distracted) > len(rows) / 2


def test_the_quickstart_is_a_complete_config() -> None:
    config = load_config(EXAMPLES / "quickstart.toml", environ={})

    assert config.agent.model == "embedded/apprentice"
    assert config.optimizer.feedback == "target"
