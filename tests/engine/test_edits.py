"""Untrusted optimizer calls: tolerant where the intent is plain, strict where it is not."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from funcforge.engine.edits import Terminate, read_action, says_terminate
from funcforge.engine.errors import InvalidEdit
from funcforge.engine.function_checks import check_function
from funcforge.engine.functions import Function
from funcforge.engine.messages import ToolCall
from funcforge.engine.parameters import (
    AddFunction,
    Parameters,
    RemoveFunction,
    ReviseFunction,
)
from hypothesis import given, settings
from hypothesis import strategies as st

CODE = "def f(x):\n    return x\n"
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
PLAIN: dict[str, Any] = {"name": "f", "description": "d", "arguments": SCHEMA, "code": CODE}


def read(arguments: Any, name: str = "add_function", known: Function | None = None) -> Any:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    parameters = Parameters(functions=(known,) if known else ())
    return read_action(ToolCall(id="1", name=name, arguments=text), parameters)


def added(**changes: Any) -> Function:
    edit = read({**PLAIN, **changes})
    assert isinstance(edit, AddFunction)
    return edit.function


def test_a_plain_call_is_read_as_it_stands() -> None:
    assert read(PLAIN) == AddFunction(
        function=Function(name="f", description="d", arguments=SCHEMA, code=CODE)
    )
    assert isinstance(read(PLAIN, "revise_function"), ReviseFunction)
    assert read({"name": "f"}, "remove_function") == RemoveFunction(name="f")
    assert read({"reason": "done"}, "terminate") == Terminate(reason="done")
    assert read("", "terminate") == Terminate()


@pytest.mark.parametrize(
    "name",
    ["add_function", "addFunction", "functions.add_function", "Add-Function", " ADD_FUNCTION"],
)
def test_an_action_may_be_spelt_in_several_ways(name: str) -> None:
    assert isinstance(read(PLAIN, name), AddFunction)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(json.dumps(PLAIN)),  # encoded twice
        f"```json\n{json.dumps(PLAIN)}\n```",
        repr(PLAIN),  # a Python literal
        json.dumps({"function": PLAIN}),
        json.dumps(PLAIN).replace("\\n", "\n"),  # raw line breaks within a text
    ],
)
def test_a_call_may_be_encoded_in_several_ways(text: str) -> None:
    assert read(text) == read(PLAIN)


X = {"type": "integer", "description": "n"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "object", "properties": {"x": X}},
        {"properties": {"x": X}},
        {"x": X},  # a bare map of properties
        {"type": "object", "x": X},
        {"x": X, "required": ["x"]},
        {"x": {**X, "required": True}},
        {"x": {"type": "int", "description": "n"}},
        [{"name": "x", **X}],
        json.dumps({"x": X}),  # encoded twice
        json.dumps(json.dumps({"x": X})),
        repr({"x": X}),
        "{'x': {'type': 'integer', 'description': 'n',},}",
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"x": X}},
    ],
)
def test_a_lightly_broken_schema_means_the_same(arguments: Any) -> None:
    function = check_function(added(arguments=arguments))

    assert function.arguments == {
        "type": "object",
        "properties": {"x": X},
        "required": ["x"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"type": "float"}, {"type": "number"}),
        ({"type": "List"}, {"type": "array", "items": {}}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        (
            {"type": "list", "items": {"type": "str"}},
            {"type": "array", "items": {"type": "string"}},
        ),
        ({"type": "dict"}, {"type": "object"}),
        ({"type": "any", "description": "n"}, {"description": "n"}),
        ("integer", {"type": "integer"}),
        ("the first number", {"description": "the first number"}),
    ],
)
def test_types_are_put_into_json_schema_words(written: Any, meant: Any) -> None:
    assert added(arguments={"x": written}).arguments["properties"] == {"x": meant}


@pytest.mark.parametrize("word", ["type", "properties", "required", "description", "items"])
def test_an_argument_may_be_named_as_a_word_of_the_schema(word: str) -> None:
    schema = {"type": "object", "properties": {word: {"type": "string"}}, "required": [word]}

    assert added(arguments=schema).arguments["properties"] == {word: {"type": "string"}}


@pytest.mark.parametrize(
    ("packages", "meant"),
    [
        (None, ()),
        ("None", ()),
        ("", ()),
        ("sympy", ("sympy",)),
        ("sympy, numpy", ("numpy", "sympy")),
        (["sympy==1.12", "numpy>=1"], ("numpy", "sympy")),
        ("pip install sympy", ("sympy",)),
        ("['sympy']", ("sympy",)),
    ],
)
def test_packages_are_names_however_they_are_written(packages: Any, meant: Any) -> None:
    assert added(packages=packages).packages == meant


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\r\n    return x\r\n",
        "```python\ndef f(x):\n    return x\n```",
        "\n\n    def f(x):\n        return x\n",
        "def f(x):\\n    return x",  # escaped once too often
        ["def f(x):", "    return x"],
    ],
)
def test_code_is_taken_out_of_its_wrapping(code: Any) -> None:
    assert added(code=code).code == CODE


def test_code_that_parses_keeps_its_escapes() -> None:
    assert added(code="f = lambda x: '\\n'").code == "f = lambda x: '\\n'\n"


def test_a_revision_may_leave_out_what_stays() -> None:
    known = Function(name="f", description="old", arguments=SCHEMA, code=CODE)

    edit = read({"name": "f", "code": "def f(x):\n    return 2\n"}, "revise_function", known)

    assert edit.function.description == "old"
    assert edit.function.arguments == SCHEMA
    assert edit.function.code == "def f(x):\n    return 2\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("[1, 2]", "must be a JSON object, not list"),
        ("hello", "no valid JSON"),
        ('{"name": "f", "code": "def', "no valid JSON"),  # cut off: never completed
        ("{" * 50_000, "The call's arguments: no"),
        ('{"name": NaN}', "JSON has no form for"),
        ({**PLAIN, "name": ""}, "name is missing"),
        ({**PLAIN, "name": 3}, "name is missing"),
        ({**PLAIN, "code": None}, "code is missing"),
        ({**PLAIN, "code": {"a": 1}}, "code is missing"),
        ({**PLAIN, "description": ["d"]}, "description must be a text"),
        ({**PLAIN, "packages": {"sympy": "1"}}, "packages must be a list"),
        ({**PLAIN, "packages": [1]}, "packages must be a list"),
        ({**PLAIN, "arguments": "{"}, "arguments: no valid JSON"),
        ({**PLAIN, "arguments": "two numbers"}, "arguments: no valid JSON"),
        ({**PLAIN, "arguments": 5}, "arguments must be a JSON Schema object"),
        ({**PLAIN, "arguments": ["x"]}, "not a list of str"),
        ({**PLAIN, "arguments": "[" * 30_000}, "arguments has 30000 characters"),
        ({**PLAIN, "code": "x" * 1_000_000}, "characters; at most"),
    ],
)
def test_what_has_no_plain_meaning_is_refused_with_a_reason(arguments: Any, reason: str) -> None:
    with pytest.raises(InvalidEdit) as error:
        read(arguments)

    assert reason in str(error.value)
    assert len(str(error.value)) < 1_000


def test_a_schema_nested_too_deep_is_refused_before_it_is_walked() -> None:
    nested: Any = {"type": "integer"}
    for _ in range(400):
        nested = {"type": "array", "items": nested}

    with pytest.raises(InvalidEdit, match="nested deeper"):
        added(arguments={"x": nested})


def test_lone_surrogates_are_replaced() -> None:
    text = json.dumps({**PLAIN, "description": "a \ud800 b"})

    assert read(text).function.description == "a \ufffd b"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("TERMINATE", True),
        ("All good.\n\n`TERMINATE`", True),
        ("", False),
        ("I will not TERMINATE yet, but add a function.", False),
        ("terminated", False),
    ],
)
def test_only_terminate_alone_on_its_line_ends_a_step(text: str, ends: bool) -> None:
    assert says_terminate(text) is ends


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["x", "type", "properties", "required", "items", "name", "function"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
KEYS = st.sampled_from(["name", "description", "arguments", "packages", "code", "parameters"])
ACTIONS = st.sampled_from(["add_function", "revise_function", "remove_function", "terminate"])


def _only_invalid_edit(name: str, text: str) -> None:
    known = Function(name="f", description="d", arguments=SCHEMA, code=CODE)
    with suppress(InvalidEdit):
        edit = read(text, name, known)
        if isinstance(edit, AddFunction | ReviseFunction):
            assert check_function(edit.function, packages=("sympy",)).hash


@settings(deadline=None)
@given(name=st.text() | ACTIONS, text=st.text())
def test_random_text_raises_nothing_but_invalid_edit(name: str, text: str) -> None:
    _only_invalid_edit(name, text)


@settings(deadline=None)
@given(name=ACTIONS, values=st.dictionaries(KEYS, JUNK))
def test_random_values_raise_nothing_but_invalid_edit(name: str, values: dict[str, Any]) -> None:
    _only_invalid_edit(name, json.dumps({"name": "f", **values}))


@settings(deadline=None)
@given(name=ACTIONS, arguments=JUNK, encoded=st.booleans())
def test_random_schemas_raise_nothing_but_invalid_edit(
    name: str, arguments: Any, encoded: bool
) -> None:
    arguments = json.dumps(arguments) if encoded else arguments
    _only_invalid_edit(name, json.dumps({**PLAIN, "arguments": arguments}))


@settings(deadline=None)
@given(
    code=st.text(st.characters(codec=None), max_size=60)
    | st.text("def f(x):[]{}'\\n =,*/", max_size=60)
)
def test_random_code_raises_nothing_but_invalid_edit(code: str) -> None:
    _only_invalid_edit("add_function", json.dumps({**PLAIN, "code": CODE + code}))
    _only_invalid_edit("add_function", json.dumps({**PLAIN, "code": code}))
