from __future__ import annotations

import math

import numpy as np
import pytest
from funcforge.engine.statistics import Estimate, interval, paired, paired_p_value
from scipy.stats import binomtest, permutation_test, wilcoxon


@pytest.mark.parametrize(("right", "tasks"), [(0, 10), (7, 10), (10, 10), (81, 263), (15, 148)])
def test_one_binary_score_per_task_gives_wilsons_interval(right: int, tasks: int) -> None:
    scores = {str(i): (float(i < right),) for i in range(tasks)}

    found = interval(scores)

    theirs = binomtest(right, tasks).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.score == right / tasks


def test_the_published_example_of_wilsons_interval() -> None:
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, 81/263
    found = interval({str(i): (float(i < 81),) for i in range(263)})

    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


def test_repeats_of_a_task_are_no_new_tasks() -> None:
    once = {str(i): (float(i % 2),) for i in range(40)}
    copied = {task: scores * 5 for task, scores in once.items()}

    assert interval(copied) == interval(once)


def test_noisy_repeats_narrow_the_interval() -> None:
    generator = np.random.default_rng(0)
    rows = (generator.random((40, 6)) < 0.5).astype(float)
    once = interval({str(i): tuple(row[:1]) for i, row in enumerate(rows)})
    often = interval({str(i): tuple(row) for i, row in enumerate(rows)})

    assert often.high - often.low < 0.7 * (once.high - once.low)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_interval_covers_the_truth_under_repeats(repeats: int) -> None:
    generator = np.random.default_rng(repeats)
    covered = 0
    for _ in range(500):
        means = generator.beta(0.8, 0.25, 30)
        rows = (generator.random((repeats, 30)) < means).astype(float)
        found = interval({str(i): tuple(rows[:, i]) for i in range(30)})
        covered += found.low <= 0.8 / 1.05 <= found.high

    assert covered >= 460


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_equal_outcomes_still_have_a_wide_interval(score: float) -> None:
    found = interval({str(i): (score,) for i in range(10)})

    assert found.low <= score <= found.high
    assert found.high - found.low > 0.25


def test_failed_episodes_are_left_out() -> None:
    found = interval({"a": (None, 1.0), "b": (0.0,), "c": (None,), "d": (1.0,), "e": ()})

    assert (found.score, found.tasks) == (2 / 3, 3)


def test_nothing_scored_gives_no_score() -> None:
    found = interval({"a": (None,)})

    assert math.isnan(found.score)
    assert (found.low, found.high, found.tasks) == (0.0, 1.0, 0)
    assert interval({"a": (0.5,)}) == Estimate(score=0.5, low=0.0, high=1.0, tasks=1)


@pytest.mark.parametrize("wrong", [math.nan, -0.01, 1.01, math.inf])
def test_what_is_no_score_is_refused_with_its_place(wrong: float) -> None:
    with pytest.raises(ValueError, match="task 'b', repeat 1"):
        interval({"a": (1.0,), "b": (0.0, wrong)})


def test_the_paired_interval_is_bonett_and_prices() -> None:
    # 30 tasks: 7 won, 2 lost. (7 - 2) / 32 +- 1.96 sqrt((8 + 3 - 25 / 32) / 32 / 32)
    before = {str(i): (float(i < 2),) for i in range(30)}
    after = {str(i): (float(2 <= i < 9),) for i in range(30)}

    found = paired(before, after, [str(i) for i in range(30)])

    half = 1.959964 * math.sqrt((11 - 25 / 32) / 32 / 32)
    assert (found.low, found.high) == pytest.approx((5 / 32 - half, 5 / 32 + half), abs=1e-6)
    assert found.mean == pytest.approx(5 / 30)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"), [(5, 0, 1 / 32), (7, 2, 46 / 512), (0, 0, 1.0), (3, 3, 42 / 64)]
)
def test_mcnemars_exact_test_in_closed_form(wins: int, losses: int, p_value: float) -> None:
    differences = [1.0] * wins + [-1.0] * losses + [0.0] * 11

    assert paired_p_value(differences, seed=0) == pytest.approx(p_value)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"), [(5, 0, 2 / 32), (0, 5, 2 / 32), (7, 2, 92 / 512), (3, 3, 1.0)]
)
def test_mcnemars_two_sided_test_in_closed_form(wins: int, losses: int, p_value: float) -> None:
    differences = [1.0] * wins + [-1.0] * losses

    assert paired_p_value(differences, seed=0, two_sided=True) == pytest.approx(p_value)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_two_sided_sign_flips_agree_with_scipy(sign: float) -> None:
    differences = [sign * value for value in (0.5, -0.25, 0.75, 0.1, 0.3, -0.05, 0.6)]

    theirs = permutation_test(
        (np.array(differences),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    ours = paired_p_value(differences, seed=0, two_sided=True)
    assert ours == pytest.approx(theirs.pvalue)


def test_sign_flips_agree_with_scipy_on_few_tasks() -> None:
    differences = [0.5, -0.25, 0.75, 0.1, 0.0, 0.3, -0.05, 0.6]

    ours = paired_p_value(differences, seed=0)

    theirs = permutation_test(
        (np.array(differences),),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    assert ours == pytest.approx(theirs.pvalue)


def test_sampled_sign_flips_are_near_a_known_test_and_repeatable() -> None:
    differences = list(np.random.default_rng(1).normal(0.1, 0.3, 60))

    ours = paired_p_value(differences, seed=3)

    assert ours == paired_p_value(differences, seed=3)
    assert ours == pytest.approx(wilcoxon(differences, alternative="greater").pvalue, abs=0.02)
