"""Pairs of arms: tests against hand-made truths, and coverage under simulation."""

from __future__ import annotations

import math
import random

import pytest
from funcforge.engine.contrast import (
    contrasts,
    holm,
    mean_interval,
    tasks_to_tell,
    two_sided_p_value,
)
from funcforge.engine.statistics import interval

Scores = dict[str, list[float | None]]


def one_repeat(*scores: float | None) -> Scores:
    return {f"t{number:03}": [score] for number, score in enumerate(scores)}


def draw(chances: list[float], repeats: int, shift: float, random_: random.Random) -> Scores:
    """Outcomes of an arm that solves each task with its chance, moved by `shift`."""
    return {
        f"t{number:04}": [
            float(random_.random() < min(max(chance + shift, 0.0), 1.0)) for _ in range(repeats)
        ]
        for number, chance in enumerate(chances)
    }


def test_single_repeats_take_mcnemars_exact_test() -> None:
    a, b = one_repeat(*[0.0] * 10, *[1.0] * 10), one_repeat(*[1.0] * 9, 0.0, *[1.0] * 9, 0.0)

    (pair,) = contrasts({"a": a, "b": b})

    assert (pair.wins, pair.losses, pair.test) == (9, 1, "mcnemar")
    assert pair.p_value == pytest.approx(2 * (10 + 1) / 2**10)  # by hand: binomial, both tails
    assert pair.difference == pytest.approx(0.4)
    assert pair.low < 0.4 < pair.high


def test_repeats_take_the_permutation_test_over_tasks() -> None:
    p_value, test = two_sided_p_value([0.5, 0.5, 0.5, -0.5], seed=0)

    assert test == "permutation"
    assert p_value == pytest.approx(10 / 16)  # by hand: |sum| >= 1 in 10 of 16 patterns


def test_many_graded_differences_agree_with_the_normal_approximation() -> None:
    random_ = random.Random(3)
    differences = [random_.gauss(0.02, 0.2) for _ in range(400)]

    p_value, _ = two_sided_p_value(differences, seed=1)

    z = sum(differences) / math.sqrt(sum(value * value for value in differences))
    assert p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), abs=0.02)


def test_a_failed_repeat_is_left_out_on_both_sides_and_counted() -> None:
    a: Scores = {"t1": [1.0, 1.0], "t2": [0.0, None], "t3": [None, None]}
    b: Scores = {"t1": [1.0, 0.0], "t2": [1.0, 0.0], "t3": [1.0, 1.0]}

    (pair,) = contrasts({"a": a, "b": b})

    assert (pair.tasks, pair.pairs, pair.dropped) == (2, 3, 3)
    assert (pair.accuracy_a, pair.accuracy_b) == (0.5, 0.75)


def test_nothing_scored_on_both_sides_tells_nothing() -> None:
    (pair,) = contrasts({"a": one_repeat(None, 1.0), "b": one_repeat(1.0, None)})

    assert (pair.tasks, pair.dropped, pair.verdict) == (0, 2, "cannot tell")
    assert math.isnan(pair.difference)
    assert (pair.low, pair.high) == (-1.0, 1.0)


def test_equal_arms_cannot_be_told_apart_and_their_interval_has_width() -> None:
    a = one_repeat(*[1.0] * 30)

    (pair,) = contrasts({"a": a, "b": dict(a)})

    assert (pair.verdict, pair.tasks_to_tell, pair.p_holm) == ("cannot tell", None, 1.0)
    assert pair.low < 0 < pair.high


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_correction_is_over_all_pairs() -> None:
    a, b = one_repeat(*[0.0] * 6, *[1.0] * 6), one_repeat(*[1.0] * 12)
    alone = contrasts({"a": a, "b": b})[0]
    crowd = contrasts({"a": a, "b": b, "c": a, "d": a})

    assert alone.verdict == "better"
    assert alone.p_value == 2 / 2**6
    assert {pair.verdict for pair in crowd} == {"cannot tell"}


def test_as_many_tasks_as_it_says_are_needed_are_enough() -> None:
    random_ = random.Random(11)
    told = 0
    needed = tasks_to_tell([1.0] * 20 + [-1.0] * 10 + [0.0] * 70, alpha=0.05)
    assert needed is not None
    for _ in range(200):
        sample = random_.choices([1.0, -1.0, 0.0], weights=[20, 10, 70], k=needed)
        told += two_sided_p_value(sample, seed=0)[0] <= 0.05

    assert 0.70 <= told / 200 <= 0.92  # planned: 0.8


def test_equal_seeds_give_equal_results() -> None:
    random_ = random.Random(5)
    values = [random_.random() - 0.4 for _ in range(300)]

    assert mean_interval(values, level=0.95, seed=1) == mean_interval(values, level=0.95, seed=1)
    assert mean_interval(values, level=0.95, seed=1) != mean_interval(values, level=0.95, seed=2)


@pytest.mark.parametrize(("tasks", "repeats", "gain"), [(25, 1, 0.1), (100, 3, 0.0), (60, 2, 0.2)])
def test_intervals_cover_the_truth(tasks: int, repeats: int, gain: float) -> None:
    """At 95 %, over 200 simulated comparisons of tasks drawn anew each time."""
    random_ = random.Random(tasks)
    covered = scored = 0
    for trial in range(200):
        chances = [random_.choice([0.05, 0.3, 0.6, 0.75]) for _ in range(tasks)]
        a, b = draw(chances, repeats, 0.0, random_), draw(chances, repeats, gain, random_)
        (pair,) = contrasts({"a": a, "b": b}, seed=trial)
        covered += pair.low <= gain <= pair.high
        estimate = interval(a)
        scored += estimate.low <= 0.425 <= estimate.high

    assert covered / 200 >= 0.93
    assert scored / 200 >= 0.93
