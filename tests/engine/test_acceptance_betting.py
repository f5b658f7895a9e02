"""The bets are fair or worse under the null: exact expectations over all outcomes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from funcforge.engine.acceptances.betting import (
    CandidateBets,
    IncumbentBets,
    centres,
    combined,
    draw_chances,
    shrunk,
    smallest,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SHARES = st.floats(0.0, 1.0)
MU = np.linspace(0, 1, 11)[None, :]
ROW = np.array([0])


@given(guess=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=8), mu=SHARES)
def test_centres_have_the_wanted_mean_and_stay_in_range(guess: list[float], mu: float) -> None:
    array = np.array(guess)

    found = centres(array, array.mean(), (array * (1 - array)).mean(), np.array(mu))

    assert found.mean() == pytest.approx(mu, abs=1e-9)
    assert found.min() >= -1e-12
    assert found.max() <= 1 + 1e-12


@settings(max_examples=20, deadline=None)
@given(
    truth=st.lists(SHARES, min_size=3, max_size=3),
    seen=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    gain=st.sampled_from([0.05, 0.3, 1.0]),
)
def test_two_draws_are_never_favourable_under_the_null(
    truth: list[float], seen: list[int], gain: float
) -> None:
    total, count = np.array([seen], float), np.full((1, 3), 2.0)
    expected = np.zeros(MU.shape[1])

    for tasks in product(range(3), repeat=2):
        for outcomes in product((0.0, 1.0), repeat=2):
            bets = CandidateBets(total, count, MU, gain)
            chance = 1.0
            for task, outcome in zip(tasks, outcomes, strict=True):
                chance *= bets.chances[0, task]
                chance *= truth[task] if outcome else 1 - truth[task]
                bets.settle(ROW, np.array([task]), np.array([outcome]))
            expected += chance * np.exp(bets.log_wealth(ROW)[0])

    null = MU[0] >= np.mean(truth)
    assert (expected[null] <= 1 + 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(truth=st.lists(SHARES, min_size=3, max_size=3), gain=st.sampled_from([0.05, 0.3]))
def test_two_rounds_are_never_favourable_under_the_null(truth: list[float], gain: float) -> None:
    nothing = np.zeros((1, 3))
    expected = np.zeros(MU.shape[1])

    for outcomes in product((0.0, 1.0), repeat=6):
        chance = np.prod([p if x else 1 - p for x, p in zip(outcomes, truth * 2, strict=True)])
        bets = IncumbentBets(nothing, nothing, MU, gain)
        bets.settle(ROW, np.array([outcomes[:3]]))
        bets.settle(ROW, np.array([outcomes[3:]]))
        expected += chance * np.exp(bets.log_wealth(ROW)[0])

    null = MU[0] <= np.mean(truth)
    assert (expected[null] <= 1 + 1e-9).all()


def test_one_draw_has_the_expectation_of_the_closed_form() -> None:
    truth = np.array([0.2, 0.9, 0.6])
    expected = np.zeros(MU.shape[1])

    for task, outcome in product(range(3), (0.0, 1.0)):
        bets = CandidateBets(np.array([[1.0, 3.0, 2.0]]), np.full((1, 3), 3.0), MU, 0.2)
        chance = bets.chances[0, task] * (truth[task] if outcome else 1 - truth[task])
        bets.settle(ROW, np.array([task]), np.array([outcome]))
        expected += chance * np.exp(bets.log_wealth(ROW)[0])

    closed = 1 + bets.bets[0].mean() * (truth.mean() - MU[0])
    assert expected == pytest.approx(closed)


def test_the_estimate_of_the_candidates_mean_is_unbiased() -> None:
    truth = np.array([0.2, 0.9, 0.6])
    expected = 0.0

    for task, outcome in product(range(3), (0.0, 1.0)):
        bets = CandidateBets(np.array([[1.0, 3.0, 2.0]]), np.full((1, 3), 3.0), MU, 0.2)
        chance = bets.chances[0, task] * (truth[task] if outcome else 1 - truth[task])
        bets.settle(ROW, np.array([task]), np.array([outcome]))
        expected += chance * bets.mean(ROW)[0]

    assert expected == pytest.approx(truth.mean())


def test_a_margin_for_drift_raises_what_must_be_beaten() -> None:
    counts = np.full((1, 3), 3.0)
    plain, careful = (CandidateBets(counts / 2, counts, MU, 0.2, drift) for drift in (0.0, 0.1))

    for bets in (plain, careful):
        bets.settle(ROW, np.array([0]), np.array([1.0]))

    assert careful.log_wealth(ROW)[0, 3] == pytest.approx(plain.log_wealth(ROW)[0, 4])


def test_tasks_whose_outcomes_vary_are_drawn_more_often_and_none_never() -> None:
    chances = draw_chances(np.array([[0.01, 0.5, 0.99, 0.5]]))[0]

    assert chances.sum() == pytest.approx(1)
    assert chances[1] == chances[3] > chances[0]
    assert chances.min() >= 0.8 / 4


def test_posterior_means_shrink_to_the_mean_over_tasks() -> None:
    found = shrunk(np.array([[0.0, 3.0]]), np.array([[1.0, 3.0]]))

    assert found == pytest.approx(np.array([[0.375, 0.9375]]))
    assert shrunk(np.zeros((1, 2)), np.zeros((1, 2))) == pytest.approx(np.full((1, 2), 0.5))


def test_the_minimum_allows_for_a_dip_between_grid_points() -> None:
    points = np.arange(-3, 4) - 0.5

    assert smallest(points[None, :] ** 2)[0] == pytest.approx(0.0, abs=1e-9)


def test_what_is_not_staked_cannot_be_lost() -> None:
    lost = np.full((1, 5), -np.inf)

    assert combined(np.zeros((1, 5)), lost, np.ones((1, 5)), 0.25)[0] == pytest.approx(np.log(0.75))
