"""The language of programs."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from funcforge.adapters.models.apprentice.program import (
    Expr,
    NoValue,
    arg,
    const,
    evaluate,
    to_function,
)

NUMBERS = {"a": 12.0, "b": 18.0, "c": 7.0}


def tree(rng: Random, depth: int) -> Expr:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([arg("a"), arg("b"), arg("c"), const(3), const(2.5)])
    op = rng.choice(["+", "-", "*", "/", "up", "down", "share", "ceil", "floor", "pair"])
    if op in ("up", "down", "share"):
        return Expr(op, (arg(rng.choice("abc")),))
    if op in ("ceil", "floor"):
        return Expr(op, (tree(rng, depth - 1),))
    if op == "pair":
        return Expr(rng.choice(["gcd", "lcm"]), (arg("a"), arg("b")))
    return Expr(op, (tree(rng, depth - 1), tree(rng, depth - 1)))


def run(program: Expr, arguments: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {}
    exec(to_function("answer", program, "Return it."), scope)
    return scope["answer"](**{name: arguments[name] for name in program.arguments()})


@pytest.mark.parametrize("seed", range(300))
def test_python_gives_what_the_program_gives(seed: int) -> None:
    program = tree(Random(seed), 4)
    arguments: dict[str, Any] = {"a": 12, "b": 18, "c": 7}

    try:
        expected = evaluate(program, arguments)
    except NoValue:
        return

    assert run(program, arguments) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("program", "arguments", "expected"),
    [
        (Expr("days", (arg("a"), arg("b"))), {"a": "2024-02-27", "b": "2024-03-01"}, 3),
        (Expr("minutes", (arg("a"), arg("b"))), {"a": "23:50", "b": "00:15"}, 25),
        (Expr("-", (Expr("minutes", (arg("a"), arg("b"))), arg("c"))),
         {"a": "09:00", "b": "10:30", "c": 20}, 70),
        (Expr("/", (Expr("sum", (arg("a"),)), Expr("count", (arg("a"),)))), {"a": [1, 2, 6]}, 3),
        (Expr("cell", (arg("a"), arg("b"), arg("c"))),
         {"a": {"x": {"y": 4}}, "b": "x", "c": "y"}, 4),
        (Expr("only_cell", (arg("a"), arg("b"))), {"a": {"x": {"y": 4}}, "b": "x"}, 4),
        (Expr("round", (Expr("**", (Expr("up", (arg("a"),)), arg("b"))), const(2))),
         {"a": 10, "b": 2}, 1.21),
    ],
)  # fmt: skip
def test_typed_operations_agree_too(
    program: Expr, arguments: dict[str, Any], expected: float
) -> None:
    assert evaluate(program, arguments) == pytest.approx(expected)
    assert run(program, arguments) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (Expr("/", (arg("a"), arg("b"))), {"a": 1, "b": 0}),
        (Expr("gcd", (arg("a"), arg("b"))), {"a": 1.5, "b": 2}),
        (Expr("**", (arg("a"), arg("b"))), {"a": 10, "b": 199}),
        (Expr("days", (arg("a"), arg("b"))), {"a": "2024-02-31", "b": "2024-03-01"}),
        (Expr("cell", (arg("a"), arg("b"), arg("c"))), {"a": {}, "b": "x", "c": "y"}),
    ],
)
def test_what_has_no_value_says_so(program: Expr, arguments: dict[str, Any]) -> None:
    with pytest.raises(NoValue):
        evaluate(program, arguments)
