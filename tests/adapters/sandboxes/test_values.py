"""How Python values leave the sandbox, row by row of the table in guest/values.py."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
from funcforge.adapters.sandboxes.guest.values import cut, safe_repr, to_json

_POINT = collections.namedtuple("_POINT", "x y")


@dataclasses.dataclass
class _Pair:
    left: int
    right: Any


class _Colour(enum.Enum):
    RED = "red"


_CIRCLE: list[Any] = []
_CIRCLE.append(_CIRCLE)

CASES: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (10**30, 10**30),
    (1.5, 1.5),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (1 + 2j, "(1+2j)"),
    (b"ab\xff", "ab\\xff"),
    ((1, 2), [1, 2]),
    (range(3), [0, 1, 2]),
    ((i for i in "ab"), ["a", "b"]),
    ({"b", "a"}, ["a", "b"]),
    ({3, 1}, [1, 3]),
    ({1, "a"}, ["a", 1]),
    ({"a": (1,), 2: None}, {"a": [1], "2": None}),
    ({1: "int", "1": "text"}, {"1": "int", "'1'": "text"}),
    (_Pair(1, {2}), {"left": 1, "right": [2]}),
    (_POINT(1, 2), {"x": 1, "y": 2}),
    (_Colour.RED, "red"),
    (decimal.Decimal("0.10"), "0.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (fractions.Fraction(4, 2), 2),
    (datetime.date(2024, 1, 2), "2024-01-02"),
    (datetime.datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"),
    (datetime.timedelta(hours=1), "1:00:00"),
    (_CIRCLE, ["<circular reference>"]),
    (sympy.Integer(3), 3),
    (sympy.Rational(1, 3), "1/3"),
    (sympy.Float(0.5), 0.5),
    (sympy.true, True),
    (sympy.oo, "oo"),
    (sympy.sqrt(2) * sympy.Symbol("x"), "sqrt(2)*x"),
    (sympy.Tuple(1, sympy.pi), [1, "pi"]),
    (sympy.Matrix([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    ({sympy.Symbol("x"): sympy.Integer(3)}, {"x": 3}),
    (np.int64(3), 3),
    (np.float64("nan"), "nan"),
    (np.bool_(True), True),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (np.datetime64("2024-01-02"), "2024-01-02"),
    (np.array([1 + 1j]), ["(1+1j)"]),
    (pd.Series({"a": 1}), {"a": 1}),
    (pd.DataFrame({"x": [1]}), {"columns": ["x"], "index": [0], "data": [[1]]}),
    (pd.Index([1, 2]), [1, 2]),
    (pd.NA, None),
    (pd.NaT, None),
    (pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
]


@pytest.mark.parametrize(("value", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_a_value_becomes_json(value: Any, expected: Any) -> None:
    found = to_json(value, 10_000)

    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found, allow_nan=False)


def test_a_long_integer_becomes_text() -> None:
    assert to_json(10**5_000, 10_000).startswith("<int of about 5001 digits: 0x")


def test_long_values_are_cut_with_a_mark() -> None:
    assert to_json("x" * 100, 20) == "x" * 9 + " ...[cut: 82 characters]... " + "x" * 9
    assert to_json(list(range(100)), 20)[-1].startswith("...[cut: ")
    assert to_json({str(i): i for i in range(100)}, 20)["..."] == "[cut: more keys]"
    assert len(json.dumps(to_json([[["x" * 100] * 100] * 100] * 100, 1_000))) < 5_000


def test_deep_values_end_in_text() -> None:
    value: Any = "deep"
    for _ in range(500):
        value = [value]

    assert len(json.dumps(to_json(value, 10_000))) < 2_000


def test_an_unwilling_repr_is_told() -> None:
    class Evil:
        def __repr__(self) -> str:
            raise ValueError

    assert safe_repr(Evil()) == "<Evil object; its repr raised ValueError>"


def test_cutting_keeps_short_text() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcdef", 0) == " ...[cut: 6 characters]... "
