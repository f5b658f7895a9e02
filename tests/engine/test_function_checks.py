"""What is said of a function without running it."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import Any

import pytest
from funcforge.engine.errors import InvalidEdit
from funcforge.engine.function_checks import CODE_CHARACTERS, check_function, check_name, parse_code
from funcforge.engine.functions import Function


def check(
    code: str, properties: dict[str, Any] | None = None, *, required: Any = None, **changes: Any
) -> Function:
    arguments: dict[str, Any] = {"type": "object", "properties": properties or {}}
    if required is not None:
        arguments["required"] = required
    given = {"name": "f", "description": "d", "arguments": arguments, "code": code, **changes}
    return check_function(Function(**given), frozen_tools=("python",), packages=("numpy", "sympy"))


INT = {"type": "integer"}


def test_required_follows_from_the_signature() -> None:
    code = "def f(a, b, c=1, *, d, e=2):\n    return a\n"

    function = check(code, {"a": INT, "b": INT, "c": INT, "d": INT})

    assert function.arguments["required"] == ["a", "b", "d"]
    assert function.arguments["additionalProperties"] is False


def test_an_argument_with_a_default_may_still_be_required() -> None:
    function = check("def f(a, b=1):\n    return a\n", {"a": INT, "b": INT}, required=["b"])

    assert function.arguments["required"] == ["a", "b"]


def test_keyword_arguments_take_anything() -> None:
    function = check("def f(a, *args, **kwargs):\n    return a\n", {"a": INT, "z": INT})

    assert function.arguments["required"] == ["a"]
    assert "additionalProperties" not in function.arguments


@pytest.mark.parametrize(
    ("code", "properties", "reason"),
    [
        ("def f(a):\n    return a\n", {"a": INT, "b": INT}, "names b, but the def takes a"),
        ("def f():\n    return 1\n", {"a": INT}, "takes no arguments"),
        ("def f(a, b):\n    return a\n", {"a": INT}, "requires b"),
        ("def f(*, b):\n    return b\n", {}, "requires b"),
        ("def f(*args):\n    return 1\n", {"args": INT}, "names args"),
        ("def f(a, /):\n    return a\n", {"a": INT}, "cannot be given by keyword"),
    ],
)
def test_a_schema_that_contradicts_the_signature_is_refused(
    code: str, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidEdit, match=reason):
        check(code, properties)


def test_required_names_are_properties() -> None:
    with pytest.raises(InvalidEdit, match="required lists b"):
        check("def f(a, b=1):\n    return a\n", {"a": INT}, required=["a", "b"])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = 1\n", "does not define f at top level; it defines nothing"),
        ("def g():\n    def f():\n        pass\n", "it defines g"),
        ("async def f():\n    return 1\n", "by `async def`"),
        ("class f:\n    pass\n", "by `class`"),
        ("f = lambda: 1\n", "does not define f"),
        ("def f():\n    return 1\nclass f:\n    pass\n", "by `class`"),
        ("def f(:\n", "in line 1: def f"),
        ("def f():\nreturn 1\n", "in line 2: return 1"),
        ("", "does not define f"),
        ("def f():\n    return '\x00'\n", "code"),
        ("def f():\n    return '\ud800'\n", "code is no valid text"),
        ("from . import x\ndef f():\n    return 1\n", "relative import"),
    ],
)
def test_code_that_does_not_define_the_function_is_refused(code: str, reason: str) -> None:
    with pytest.raises(InvalidEdit, match=reason):
        check(code)


def test_the_last_definition_counts() -> None:
    function = check("def f():\n    return 1\n\ndef f(a):\n    return a\n", {"a": INT})

    assert function.arguments["required"] == ["a"]


@pytest.mark.parametrize(
    "name",
    ["", "2x", "a b", "a-b", "naïve", "_private", "__import__", "x" * 65, "a\n", "def", "None",
     "print", "ValueError", "python"],
)  # fmt: skip
def test_names_that_cannot_be_a_tools_are_refused(name: str) -> None:
    with pytest.raises(InvalidEdit, match="name: "):
        check_name(name, frozen_tools=("python",))


@pytest.mark.parametrize("name", ["f", "solve_2", "X", "match", "x" * 64])
def test_names_that_can_be_a_tools_are_taken(name: str) -> None:
    check_name(name)


def test_the_docstring_describes_where_the_description_is_empty() -> None:
    code = 'def f():\n    """Add things."""\n    return 1\n'

    assert check(code, description=" ").description == "Add things."
    with pytest.raises(InvalidEdit, match="description is empty"):
        check("def f():\n    return 1\n", description="")


@pytest.mark.parametrize(
    ("imports", "declared", "kept"),
    [
        ("", ("sympy",), ()),  # declared, not used
        ("import math, json", ("math",), ()),  # the standard library is always there
        ("import sympy", (), ("sympy",)),  # used, not declared
        ("from sympy.abc import x\nimport numpy as np", ("sympy",), ("numpy", "sympy")),
        ("import importlib\ns = importlib.import_module('sympy')", ("sympy",), ("sympy",)),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", (), ()),
    ],
)
def test_packages_are_what_the_code_imports(
    imports: str, declared: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    function = check(f"{imports}\ndef f():\n    return 1\n", packages=declared)

    assert function.packages == kept


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ndef f():\n    return 1\n",
        "def f():\n    from torch.nn import x\n    return x\n",
        "try:\n    x = 1\nexcept ValueError:\n    import torch\ndef f():\n    return 1\n",
    ],
)
def test_packages_that_are_not_allowed_are_refused_and_never_installed(code: str) -> None:
    with pytest.raises(InvalidEdit, match=r"torch is not available\. Available: numpy, sympy"):
        check(code)


# -- code that attacks its reader ---------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "-" * 40_000 + "1",
        "not " * 10_000 + "1",
        "(" * 20_000 + ")" * 20_000,
        "[" * 20_000 + "]" * 20_000,
        "a" + ".b" * 20_000,
        "a" + "()" * 20_000,
        "a" + "[0]" * 15_000,
        "1" + "+1" * 20_000,
        "1" + "**1" * 15_000,
        "lambda:" * 7_000 + "1",
        "1 if 1 else " * 4_000 + "1",
        "x=" * 20_000 + "1",
        "f'" + "{1:" * 10_000 + "}" * 10_000 + "'",
        "9" * 45_000,
        "*" * 45_000,
    ],
)
def test_deep_code_is_parsed_or_refused_and_harms_nobody(expression: str) -> None:
    code = f"def f():\n    y = {expression}\n"
    assert len(code) <= CODE_CHARACTERS

    with suppress(InvalidEdit):
        check(code)


def test_a_megabyte_of_code_is_refused_unparsed() -> None:
    with pytest.raises(InvalidEdit, match="code has 1000000 characters; at most"):
        parse_code("#" * 1_000_000)


def test_parsing_runs_nothing_and_warns_nobody() -> None:
    code = "import sys\nsys.ran_by_check = True\ndef f():\n    return '\\d' is 1\n"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(code)

    assert not hasattr(sys, "ran_by_check")
