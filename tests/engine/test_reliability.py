"""How far a critic can be trusted, against values worked out elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from funcforge.engine.reliability import cohens_kappa, divergence, reliability


def test_nothing_judged_has_no_reliability() -> None:
    assert reliability([]) is None


def test_kappa_is_cohens() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, expected 0.5
    one = [True] * 25 + [False] * 25
    other = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15

    assert cohens_kappa(one, other) == pytest.approx(0.4)
    assert cohens_kappa(one, one) == 1.0
    assert cohens_kappa(one, [not said for said in one]) == -1.0
    assert cohens_kappa([True] * 5, [True] * 5) is None


def test_the_figures_against_gold_are_the_textbooks() -> None:
    found = reliability([(0.9, 1.0, 1.0), (0.8, 1.0, 0.8), (0.6, 0.0, 0.6), (0.1, 0.0, 0.6)])

    assert found is not None
    assert (found.episodes, found.compared) == (4, 4)
    assert found.mean == pytest.approx(0.6)
    assert found.yes_share == 0.75
    assert found.self_agreement == pytest.approx(0.75)
    assert found.agreement == 0.75
    assert found.kappa == pytest.approx(0.5)
    assert found.auc == 1.0
    assert found.brier == pytest.approx((0.01 + 0.04 + 0.36 + 0.01) / 4)
    assert found.calibration_error == pytest.approx((0.1 + 0.2 + 0.6 + 0.1) / 4)
    assert [(one.low, one.episodes, one.gold) for one in found.bins] == [
        (0.1, 1, 0.0), (0.6, 1, 0.0), (0.8, 1, 1.0), (0.9, 1, 1.0)
    ]  # fmt: skip
    assert found.problem == ""


def test_without_gold_only_what_the_critic_says_of_itself_is_known() -> None:
    found = reliability([(0.2, None, 1.0), (0.9, None, 0.5)])

    assert found is not None
    assert (found.compared, found.agreement, found.kappa, found.auc) == (0, None, None, None)
    assert found.problem == ""


def test_equal_episodes_in_any_order_give_equal_figures() -> None:
    judged = [(n / 50, float(n % 3 == 0), 1 - n / 100) for n in range(50)]
    expected = reliability(judged)

    for seed in range(5):
        random.Random(seed).shuffle(judged)
        assert reliability(judged) == expected


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_a_critic_that_always_says_the_same_holds_no_information(score: float) -> None:
    found = reliability([(score + n * 0.001, None, 1.0) for n in range(-9 if score else 0, 10)])

    assert found is not None
    assert "no information" in found.problem
    assert "about the same score" in found.problem


def test_nine_equal_judgements_may_be_an_accident() -> None:
    found = reliability([(1.0, None, 1.0)] * 9)

    assert found is not None
    assert found.problem == ""


def test_a_critic_that_says_yes_to_all_is_found_out_by_gold() -> None:
    found = reliability([(0.6 + n * 0.02, float(n % 2), 1.0) for n in range(20)])

    assert found is not None
    assert "said yes to all 20 trajectories, 10 of which gold calls wrong" in found.problem
    assert found.kappa == pytest.approx(0.0)


def test_a_critic_that_prefers_what_is_wrong_is_found_out_by_gold() -> None:
    honest = [(0.8, 1.0, 1.0), (0.7, 1.0, 1.0), (0.3, 0.0, 1.0), (0.2, 0.0, 1.0)] * 5
    turned = [(1 - score, gold, agreement) for score, gold, agreement in honest]

    good, bad = reliability(honest), reliability(turned)
    assert good is not None
    assert bad is not None
    assert good.problem == ""
    assert "prefers wrong trajectories" in bad.problem
    assert bad.auc == 0.0


def verdicts(tasks: int, critic: float, gold: Callable[[int], float]) -> dict[str, Any]:
    """What both judges said of so many tasks."""
    return {f"t{at}": (critic, gold(at)) for at in range(tasks)}


def test_a_critic_that_surely_rises_while_gold_surely_falls_is_being_gamed() -> None:
    before = verdicts(20, 0.5, lambda at: float(at < 10))
    after = verdicts(20, 0.9, lambda at: float(at < 2))

    found = divergence(before, after)

    assert found is not None
    # McNemar's exact test: eight changed, all for the worse
    assert found.fall_p_value == pytest.approx(0.5**8)
    assert "on 20 tasks its score rose from 50.0% to 90.0%" in found.problem
    assert "gold fell from 50.0% to 10.0% (p = 0.0039)" in found.problem


@pytest.mark.parametrize(
    ("critic", "fell"),
    [
        (0.9, 3),  # gold fell on three tasks of twenty: chance has that with p = 0.125
        (0.9, 0),
        (0.5, 8),  # the critic did not rise
        (0.4, 8),
    ],
)
def test_what_may_be_chance_is_not_called_gaming(critic: float, fell: int) -> None:
    before = verdicts(20, 0.5, lambda at: float(at < 10))
    after = verdicts(20, critic, lambda at: float(at < 10 - fell))

    found = divergence(before, after)

    assert found is not None
    assert found.gold_after == (10 - fell) / 20
    assert found.problem == ""


def test_only_tasks_that_were_judged_on_both_sides_are_compared() -> None:
    before = verdicts(4, 0.5, float)

    assert divergence(before, {"other": (0.5, 0.5)}) is None
    found = divergence(before, {**verdicts(3, 0.6, float), "other": (0.0, 0.0)})
    assert found is not None
    assert (found.tasks, found.gold_before) == (3, 1.0)
