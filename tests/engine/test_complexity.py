"""Cyclomatic complexity of code that a model wrote."""

from __future__ import annotations

import pytest
from funcforge.engine.complexity import cyclomatic_complexity

HELPED = """
import math

def helper(x):
    return x if x > 0 else -x

def f(values):
    total = 0
    for value in values:
        if value and value > 1:
            total += helper(value)
    return total
"""


@pytest.mark.parametrize(
    ("code", "complexity"),
    [
        ("def f(x):\n    return x\n", 1),
        ("def f(x):\n    if x:\n        return 1\n    return 0\n", 2),
        (HELPED, 5),  # a conditional expression, a loop, an if, an and
        ("x = 1\n", None),
        ("", None),
        ("def f(:\n  '''abc\n if x", None),
        ("\ud800 def", None),
    ],
)
def test_decisions_plus_one_over_a_function_and_its_helpers(
    code: str, complexity: int | None
) -> None:
    assert cyclomatic_complexity(code) == complexity
