"""Schemas and arguments are untrusted: clear messages, and bounded effort."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

import pytest
from funcforge.engine.errors import InvalidReply
from funcforge.engine.schemas import schema_problem, validate_arguments
from hypothesis import given, settings
from hypothesis import strategies as st


def schema(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "sound",
    [
        {"type": "object"},
        schema(x={"type": "integer"}),
        schema(x={"type": ["integer", "null"]}, y={"anyOf": [{"type": "string"}, {}]}),
        schema(x={"type": "array", "items": {"type": "object", "properties": {"a": {}}}}),
        schema(x={"type": "string", "pattern": r"^\d+$"}),
    ],
)
def test_a_sound_schema_has_no_problem(sound: dict[str, Any]) -> None:
    assert schema_problem(sound) is None


def _nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        inner = {"type": "array", "items": inner}
    return schema(x=inner)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("text", "must be a JSON Schema object, not str"),
        ({}, '"type": "object"'),
        ({"type": "array"}, '"type": "object"'),
        ({"type": "object", "properties": ["x"]}, '"properties" must be an object'),
        (schema(x={"type": "float"}), "properties.x.type: 'float' is no type; the types are"),
        (schema(x={"type": "object", "required": "y"}), "properties.x.required"),
        (schema(x={"minimum": "1"}), "properties.x.minimum"),
        (schema(x={"pattern": "("}), "is no regular expression"),
        (schema(x={"default": float("nan")}), "NaN and infinities"),
        (schema(x={"$ref": "http://127.0.0.1:1/x"}), '"$ref" is not allowed'),
        (schema(x={"allOf": [{"$dynamicRef": "#"}]}), '"$dynamicRef" is not allowed'),
        (schema(x={"unevaluatedProperties": False}), "is not allowed"),
        (schema(x={"description": "d" * 30_000}), "characters; at most"),
        (_nested(30), "nested deeper"),
        (_nested(100_000), "nested deeper"),
        (schema(x={"enum": list(range(30_000))}), "too large"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said(broken: Any, told: str) -> None:
    problem = schema_problem(broken)

    assert problem is not None
    assert told in problem
    assert len(problem) < 500


def test_arguments_that_fit_pass() -> None:
    validate_arguments(schema(x={"type": "integer"}), {"x": 1})
    validate_arguments(schema(x={"type": "integer"}), {"x": 1.0})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "'x' is a required property"),
        ({"x": "1"}, "x: '1' is not of type 'integer'"),
        ({"x": True}, "x: True is not of type 'integer'"),
        ({"x": 1, "z": 2}, "'z' was unexpected) (the arguments are: x)"),
        ({"x": [["a" * 100_000]]}, "..."),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(values: Any, told: str) -> None:
    with pytest.raises(InvalidReply) as error:
        validate_arguments(schema(x={"type": "integer"}), values)

    assert told in str(error.value)
    assert len(str(error.value)) < 1_000


def test_of_many_errors_the_first_are_told() -> None:
    numbers = schema(x={"type": "array", "items": {"type": "integer"}})

    with pytest.raises(InvalidReply, match=r"x\[0\].*x\[1\].*x\[2\].*There are more errors"):
        validate_arguments(numbers, {"x": ["a"] * 1_000})


def test_a_pattern_is_never_evaluated() -> None:
    slow = schema(x={"type": "string", "pattern": "^(a+)+$"})
    began = time.perf_counter()

    validate_arguments(slow, {"x": "a" * 40 + "!"})

    assert time.perf_counter() - began < 1.0


def test_nothing_a_schema_names_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        host, port = server.getsockname()[:2]
        remote = {"type": "object", "properties": {"x": {"$ref": f"http://{host}:{port}/s.json"}}}

        with pytest.raises(InvalidReply, match="cannot be checked"):
            validate_arguments(remote, {"x": 1})

        with pytest.raises(TimeoutError):
            server.accept()


def test_arguments_that_are_endless_or_deep_are_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]

    for value in (deep, [0] * 200_000):
        with pytest.raises(InvalidReply, match="too large"):
            validate_arguments(schema(x={}), {"x": value})


def test_numbers_beyond_floats_raise_no_foreign_error() -> None:
    with pytest.raises(InvalidReply):
        validate_arguments(schema(x={"multipleOf": 0.1}), {"x": 10**400})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "anyOf", "minimum", "pattern",
                             "required", "multipleOf", "additionalProperties", "x"]),
            inner, max_size=4,
        )
    ),
    max_leaves=15,
)  # fmt: skip


@settings(deadline=None)
@given(written=JSON, values=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_random_schemas_and_arguments_raise_nothing_unexpected(
    written: Any, values: dict[str, Any]
) -> None:
    whole = {"type": "object", "properties": {"x": written}}
    if schema_problem(whole) is None:
        with suppress(InvalidReply):
            validate_arguments(whole, values)
