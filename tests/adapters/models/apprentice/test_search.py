"""Finding programs over numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from funcforge.adapters.models.apprentice.leaves import Leaf
from funcforge.adapters.models.apprentice.program import Expr, arg, evaluate
from funcforge.adapters.models.apprentice.search import aims, search

ROWS = [(41, 6, 23, 9), (73, 12, 31, 4), (58, 7, 19, 14), (96, 15, 44, 11), (67, 9, 52, 3)]
NAMES = "abcd"


def find(targets: list[float], decimals: int = 0) -> Expr | None:
    leaves = [Leaf(tuple(float(row[i]) for row in ROWS), arg(name)) for i, name in enumerate(NAMES)]
    for aim in aims(targets, decimals):
        found = search(leaves, aim)
        if found:
            return found[0]
    return None


@pytest.mark.parametrize(
    ("rule", "decimals"),
    [
        (lambda a, b, c, d: a * b + c, 0),
        (lambda a, b, c, d: 2 * (a + b) * c, 0),
        (lambda a, b, c, d: (a * b + c * d) / (a + c), 2),
        (lambda a, b, c, d: a / b, 2),
        (lambda a, b, c, d: a * 0.4536, 2),
        (lambda a, b, c, d: (a - 32) * 5 / 9, 1),
        (lambda a, b, c, d: math.ceil(a / b), 0),
        (lambda a, b, c, d: math.lcm(a, b), 0),
        (lambda a, b, c, d: (a + b + c) / 3, 2),
    ],
)
def test_the_rule_behind_the_answers_is_found(rule: Callable[..., float], decimals: int) -> None:
    targets = [round(float(rule(*row)), decimals) for row in ROWS]

    program = find(targets, decimals)

    assert program is not None
    unseen = (83, 14, 37, 8)
    assert evaluate(program, dict(zip(NAMES, unseen, strict=True))) == pytest.approx(
        round(float(rule(*unseen)), decimals), abs=1e-6
    )


def test_answers_of_other_questions_have_no_rule() -> None:
    targets = [round((a * b + c * d) / (a + c), 2) for a, b, c, d in ROWS]
    shuffled = [targets[i] for i in (2, 0, 4, 1, 3)]

    assert find(shuffled, 2) is None


def test_random_answers_have_no_rule() -> None:
    rng = random.Random(5)

    found = [find([rng.randint(100, 9999) / 100 for _ in ROWS], 2) for _ in range(5)]

    assert found == [None] * 5


def test_without_numbers_nothing_is_found() -> None:
    assert search([], aims([1.0], 0)[0]) == []
