"""Proposals are run before any episode is paid for, at no model's cost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from funcforge.engine.episode import Episode, FunctionCall
from funcforge.engine.errors import InvalidEdit, SandboxError
from funcforge.engine.functions import Function
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.optimizers.preflight import example, replay, smoke
from funcforge.engine.ports import CallResult
from funcforge.engine.schemas import validate_arguments

from tests.engine.optimizers.desk import (
    TERMINATE,
    Desk,
    calls,
    episode,
    function,
    revise,
    situation,
    source,
)


def recorded(of: Function, x: Any, result: str, outcome: Any = "value") -> FunctionCall:
    return FunctionCall(
        name=of.name,
        arguments=json.dumps({"x": x}),
        outcome=outcome,
        result=result,
        function_hash=of.hash,
    )


def solved(of: Function, *pairs: tuple[Any, str], score: float = 1.0) -> Episode:
    return episode("t1", score, called=[recorded(of, x, result) for x, result in pairs])


async def test_a_function_that_calls_what_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidEdit, match="NameError: name 'helper' is not defined"):
        await smoke(function("f", source("f", "return helper(x)")), Desk())


async def test_a_function_that_cannot_be_called_as_its_schema_says_is_refused() -> None:
    code = "def without(f):\n    def f():\n        return 1\n"
    code += "    f.__qualname__ = 'f'\n    return f\n\n"

    with pytest.raises(InvalidEdit, match=r"breaks .* TypeError: f\(\) got an unexpected keyword"):
        await smoke(function("f", code + "@without\n" + source("f")), Desk())


@pytest.mark.parametrize("body", ["raise ValueError('x must be a date')", "return 1 / (x - x)"])
async def test_errors_that_made_up_arguments_may_cause_refuse_nothing(body: str) -> None:
    await smoke(function("f", source("f", body)), Desk())


async def test_a_sandbox_that_fails_is_no_invalid_edit() -> None:
    class Dead(Desk):
        async def call(self, *_: Any) -> CallResult:
            return CallResult(outcome="system_failure", error="gone")

    f = function("f")

    with pytest.raises(SandboxError, match="gone"):
        await smoke(f, Dead())
    with pytest.raises(SandboxError, match="gone"):
        await replay(f, function("f", source("f", "return 0")), [solved(f, (1, "2"))], Dead())


async def test_a_revision_is_run_on_the_recorded_calls_of_solved_tasks() -> None:
    before = function("f")
    after = function("f", source("f", "return x + 1 if x < 3 else 0"))
    episodes = [solved(before, (1, "2"), (2, "3"), (3, "4"), (3, "4"), (4, "5"))]

    found = await replay(before, after, episodes, Desk())

    assert found.calls == 4
    assert [(c.arguments, c.before, c.after) for c in found.changes] == [
        ('{"x": 3}', "4", "0"),
        ('{"x": 4}', "5", "0"),
    ]
    assert found.told("f").startswith(
        '2 of 4 results changed in calls of tasks that were solved, for example: f({"x": 3}) '
        "returned 4, now 0;"
    )


async def test_only_calls_that_gave_a_value_in_solved_tasks_of_that_version_are_replayed() -> None:
    before = function("f")
    episodes = [
        solved(before, (1, "2"), score=0.0),
        episode("t2", 1.0, called=[recorded(before, "a", "Error", "exception")]),
        solved(function("f", source("f", "return 7")), (1, "7")),
    ]

    found = await replay(before, function("f", source("f", "return 0")), episodes, Desk())

    assert found.calls == 0


async def test_results_that_depend_on_chance_count_as_no_change() -> None:
    code = "def f(x):\n    import random\n    return random.random()\n"
    before = function("f", code)

    found = await replay(before, function("f"), [solved(before, (1, "0.123"))], Desk())

    assert (found.calls, found.changes) == (1, ())


async def test_the_same_number_in_another_form_is_no_change() -> None:
    before, after = function("f"), function("f", source("f", "return x + 1.0"))

    found = await replay(before, after, [solved(before, (1, "2"))], Desk())

    assert (found.calls, found.changes) == (1, ())


async def test_arguments_that_the_new_schema_refuses_are_a_change() -> None:
    before = function("f", "def f(x, y=1):\n    return x\n")
    after = function("f", "def f(z):\n    return z\n")
    schema = {"type": "object", "properties": {"z": {"type": "integer"}}, "required": ["z"]}
    after = Function(name="f", description="d", arguments=schema, code=after.code)

    found = await replay(before, after, [solved(before, (1, "1"))], Desk())

    assert found.changes[0].after.startswith("Refused: ")


async def test_changed_results_go_back_to_the_optimizer_before_the_revision_counts() -> None:
    f = function("f")
    at = situation(solved(f, (1, "2")), functions=[f])
    desk = Desk(
        calls(revise("f", source("f", "return x + 100"))),
        calls(revise("f", source("f", "return 1 + x"))),
        calls(TERMINATE),
    )

    proposal = await _propose(desk, at)

    assert desk.refusals[0].startswith("1 of 1 results changed")
    assert "1 of 1 results changed" in desk.asked[1].messages[-1].content
    assert [e.function.code for e in proposal.edits] == ["def f(x):\n    return 1 + x\n"]


async def test_the_same_revision_sent_again_is_meant() -> None:
    f = function("f")
    at = situation(solved(f, (1, "2")), functions=[f])
    changed = calls(revise("f", source("f", "return x + 100")))
    desk = Desk(changed, changed, calls(TERMINATE))

    proposal = await _propose(desk, at)

    assert len(desk.refusals) == 1
    assert [e.function.code for e in proposal.edits] == ["def f(x):\n    return x + 100\n"]


async def test_without_preflight_nothing_but_the_load_check_is_run() -> None:
    f = function("f")
    at = situation(solved(f, (1, "2")), functions=[f])
    desk = Desk(calls(revise("f", source("f", "return x + 100"))), calls(TERMINATE))

    proposal = await _propose(desk, at, preflight=False)

    assert len(proposal.edits) == 1
    assert desk.checked == ["f"]
    assert desk.called == []


async def _propose(desk: Desk, at: Any, **settings: Any) -> Any:
    optimizer = FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer", **settings))
    return await optimizer.propose(optimizer.init(), at, desk)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"type": "integer", "minimum": 5},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "number", "maximum": -3},
        {"type": "string"},
        {"type": "string", "minLength": 4},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["integer", "null"]},
        {"type": "array", "items": {"type": "number"}},
        {"type": "array", "minItems": 3, "items": {"type": "array", "items": {}}},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"const": 7},
        {"default": [1]},
        {},
    ],
)
def test_made_up_arguments_fit_their_schema(schema: dict[str, Any]) -> None:
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"]}

    validate_arguments(whole, example(whole))
