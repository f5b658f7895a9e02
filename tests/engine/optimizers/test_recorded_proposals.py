"""Real proposals of gpt-4o-mini: each is applied or refused with a reason, removals take effect."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any

import pytest
from funcforge.engine.parameters import AddFunction, RemoveFunction, ReviseFunction

from benchmarks.recorded_proposals import DATA, Outcome, class_of, play, read, reference

pytestmark = pytest.mark.skipif(
    not (DATA / "actions.jsonl.gz").exists(), reason=f"the recorded data is not at {DATA}"
)


@pytest.fixture(scope="module", name="outcomes")
def _outcomes() -> list[Outcome]:
    return asyncio.run(play())


def _usable() -> dict[int, bool]:
    """Say of each add and revise, by what the data's own parser found, whether it can be used."""
    contradicts = {
        (row["name"], row["code_sha256"])
        for row in read("functions")
        if row["schema_matches"] is False
    }
    usable = {}
    for at, row in enumerate(read("actions")):
        values = json.loads(row["arguments_raw"])
        code = values.get("code")
        digest = hashlib.sha256(code.encode()).hexdigest() if isinstance(code, str) else ""
        usable[at] = bool(
            row["compiles"]
            and row["defines_name"]
            and row["arguments_valid_json"]
            and (values["name"], digest) not in contradicts
        )
    return usable


def test_every_recorded_proposal_is_applied_or_refused_with_a_reason(
    outcomes: list[Outcome],
) -> None:
    events = [event for outcome in outcomes for event in outcome.events]
    counts = Counter(class_of(event) for event in events)

    assert sum(counts.values()) == len(read("actions")) == 879
    assert not [name for name in counts if name.startswith("other")]
    assert counts == {
        "applied": 423,
        "revises a function that is not there": 206,
        "removes a function that is not there": 166,
        "revises nothing": 39,
        "adds a function that exists": 25,
        "schema contradicts the signature": 7,
        "code does not parse": 5,
        "code does not define the name": 4,
        "schema is no complete JSON": 4,
    }


def test_epoch_by_epoch_the_lists_are_those_of_the_correct_algorithm(
    outcomes: list[Outcome],
) -> None:
    """A second, naive bookkeeping of names over the raw rows comes to the same lists."""
    usable = _usable()
    rows = list(enumerate(read("actions")))
    best: dict[str, float] = {}
    incumbent: dict[str, frozenset[str]] = {}
    candidate: dict[str, frozenset[str]] = {}

    for outcome in outcomes:
        run, epoch = outcome.step.run, outcome.step.epoch
        if outcome.step.accuracy > best.get(run, -1.0):
            best[run], incumbent[run] = outcome.step.accuracy, candidate.get(run, frozenset())
        names = set(incumbent[run])
        for at, row in rows:
            if (row["run"], row["epoch"]) == (run, epoch):
                _book(row, usable[at], names)
        candidate[run] = frozenset(names)

        assert {f.name for f in outcome.before.functions} == incumbent[run]
        assert {f.name for f in outcome.after.functions} == names


def _book(row: dict[str, Any], usable: bool, names: set[str]) -> None:
    values = json.loads(row["arguments_raw"])
    name = values["name"]
    # one proposal escapes its line breaks twice; what it means is plain
    escaped = row["compile_error"] is not None and "\\n" in values.get("code", "")
    if row["name"] == "remove_function":
        names.discard(name)
    elif row["name"] == "add_function" and (usable or escaped):
        names.add(name)


def test_what_an_epoch_ends_with_follows_from_its_applied_edits(
    outcomes: list[Outcome],
) -> None:
    for outcome in outcomes:
        functions = {f.name: f for f in outcome.before.functions}
        for event in outcome.events:
            if event.refused:
                continue
            match event.edit:
                case AddFunction(function=f) | ReviseFunction(function=f):
                    functions[f.name] = f
                case RemoveFunction(name=name):
                    del functions[name]
        assert outcome.after.functions == tuple(functions[name] for name in sorted(functions))


def test_the_reference_kept_callable_what_it_had_removed() -> None:
    runs = reference().values()

    # the published figures, 65 and 196, count 6 and 14 of a run without recorded proposals
    assert sum(len(run.listed) for run in runs) == 65 - 6
    assert sum(len(run.callable) for run in runs) == 196 - 14
