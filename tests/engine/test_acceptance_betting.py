"""The bets are fair or worse under the null: exact expectations over all outcomes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from funcforge.engine.acceptances.betting import (
    CANDIDATE_WEIGHTS,
    CandidateBets,
    IncumbentBets,
    Seen,
    aimed,
    centres,
    combined,
    draw_chances,
    known,
    smallest,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SHARES = st.floats(0.0, 1.0)
MU = np.linspace(0, 1, 11)[None, :]
ROW = np.array([0])


def seen(total: list[float], count: float, within: float = 0.5) -> Seen:
    """Outcomes of 0 or 1, as many of each task."""
    sums = np.array([total], float)
    return Seen(sums, sums, np.full_like(sums, count), within)


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
    wins=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    gain=st.sampled_from([0.05, 0.3, 1.0]),
    within=st.sampled_from([0.01, 0.5, 0.99]),
)
def test_two_draws_are_never_favourable_under_the_null(
    truth: list[float], wins: list[float], gain: float, within: float
) -> None:
    before = seen(wins, 2.0, within)
    expected = np.zeros(MU.shape[1])

    for tasks in product(range(3), repeat=2):
        for outcomes in product((0.0, 1.0), repeat=2):
            bets = CandidateBets(before, MU, gain)
            chance = 1.0
            for task, outcome in zip(tasks, outcomes, strict=True):
                chance *= bets.chances[0, task]
                chance *= truth[task] if outcome else 1 - truth[task]
                bets.settle(ROW, np.array([task]), np.array([outcome]))
            expected += chance * np.exp(bets.log_wealth(ROW)[0])

    null = MU[0] >= np.mean(truth)
    assert (expected[null] <= 1 + 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(
    truth=st.lists(SHARES, min_size=3, max_size=3),
    gain=st.sampled_from([0.05, 0.3, 1.0]),
    within=st.sampled_from([0.01, 0.5, 0.99]),
)
def test_two_rounds_are_never_favourable_under_the_null(
    truth: list[float], gain: float, within: float
) -> None:
    expected = np.zeros(MU.shape[1])

    for outcomes in product((0.0, 1.0), repeat=6):
        chance = np.prod([p if x else 1 - p for x, p in zip(outcomes, truth * 2, strict=True)])
        bets = IncumbentBets(seen([0, 0, 0], 0, within), MU, gain)
        bets.settle(ROW, np.array([outcomes[:3]]))
        bets.settle(ROW, np.array([outcomes[3:]]))
        expected += chance * np.exp(bets.log_wealth(ROW)[0])

    null = MU[0] <= np.mean(truth)
    assert (expected[null] <= 1 + 1e-9).all()


def test_one_draw_has_the_expectation_of_the_closed_form() -> None:
    truth = np.array([0.2, 0.9, 0.6])
    expected = np.zeros(MU.shape[1])

    for task, outcome in product(range(3), (0.0, 1.0)):
        bets = CandidateBets(seen([1, 3, 2], 3), MU, 0.2)
        chance = bets.chances[0, task] * (truth[task] if outcome else 1 - truth[task])
        bets.settle(ROW, np.array([task]), np.array([outcome]))
        expected += chance * np.exp(bets.log_wealth(ROW)[0])

    closed = 1 + bets.bets[0] @ CANDIDATE_WEIGHTS * (truth.mean() - MU[0])
    assert expected == pytest.approx(closed)


def test_the_estimate_of_the_candidates_mean_is_unbiased() -> None:
    truth = np.array([0.2, 0.9, 0.6])
    expected = 0.0

    for task, outcome in product(range(3), (0.0, 1.0)):
        bets = CandidateBets(seen([1, 3, 2], 3), MU, 0.2)
        chance = bets.chances[0, task] * (truth[task] if outcome else 1 - truth[task])
        bets.settle(ROW, np.array([task]), np.array([outcome]))
        expected += chance * bets.mean(ROW)[0]

    assert expected == pytest.approx(truth.mean())


def test_a_margin_for_drift_raises_what_must_be_beaten() -> None:
    before = seen([1.5, 1.5, 1.5], 3)
    plain, careful = (CandidateBets(before, MU, 0.2, drift) for drift in (0.0, 0.1))

    for bets in (plain, careful):
        bets.settle(ROW, np.array([0]), np.array([1.0]))

    assert careful.log_wealth(ROW)[0, 3] == pytest.approx(plain.log_wealth(ROW)[0, 4])


def test_tasks_whose_outcomes_vary_are_drawn_more_often_and_none_never() -> None:
    chances = draw_chances(np.array([[0.01, 0.5, 0.99, 0.5]]))[0]

    assert chances.sum() == pytest.approx(1)
    assert chances[1] == chances[3] > chances[0]
    assert chances.min() >= 0.5 / 4


def test_task_means_are_guessed_the_closer_to_their_own_the_more_repeats_agree() -> None:
    nothing, even = seen([0, 0], 0), seen([0, 3], 3)
    agree, differ = seen([0, 4, 0, 4], 4), seen([1, 3, 2, 2], 4)

    assert nothing.guesses(ROW)[0] == pytest.approx(np.full((1, 2), 0.5))
    assert even.guesses(ROW)[0].mean() == pytest.approx(0.5)
    assert agree.within(ROW)[0] < 0.5 < differ.within(ROW)[0]
    assert agree.guesses(ROW)[0][0, 0] < seen([0, 4, 2, 2], 4).guesses(ROW)[0][0, 0]
    assert agree.variance(ROW)[0] < differ.variance(ROW)[0]


def test_the_share_of_the_variance_within_tasks_is_found_in_the_long_run() -> None:
    rng = np.random.default_rng(1)
    means = rng.beta(0.8, 0.25, (1, 4000))
    outcomes = (rng.random((30, 1, 4000)) < means).astype(float)
    total = outcomes.sum(0)

    found = Seen(total, total, np.full_like(total, 30.0), 0.5)

    inside, between = (means * (1 - means)).mean(), means.var()
    assert found.within(ROW)[0] == pytest.approx(inside / (inside + between), abs=0.02)
    assert found.variance(ROW)[0] == pytest.approx(inside, rel=0.1)


def test_where_outcomes_hardly_vary_half_the_gain_is_bet_on_and_never_less() -> None:
    assert aimed(0.1, np.array([0.2, 0.05, 0.0125, 0.0])) == pytest.approx([0.1, 0.1, 0.05, 0.05])


def test_a_known_incumbent_never_lowers_the_wealth() -> None:
    bets = CandidateBets(seen([1, 3, 2], 3), MU, 0.2)
    for task in (0, 1, 2, 0):
        bets.settle(ROW, np.array([task]), np.array([1.0]))
    bet, kept = bets.log_wealth(ROW), np.ones((1, MU.shape[1]))

    sure = known(np.array([0.3]), MU, bet, kept, 0.5)

    assert sure >= combined(np.zeros_like(bet), bet, kept, 0.5)
    assert sure[0] == pytest.approx(np.log(0.5 + 0.5 * np.exp(bet[0, 3])))


def test_the_minimum_allows_for_a_dip_between_grid_points() -> None:
    points = np.arange(-3, 4) - 0.5

    assert smallest(points[None, :] ** 2)[0] == pytest.approx(0.0, abs=1e-9)


def test_what_is_not_staked_cannot_be_lost() -> None:
    lost = np.full((1, 5), -np.inf)

    assert combined(np.zeros((1, 5)), lost, np.ones((1, 5)), 0.25)[0] == pytest.approx(np.log(0.75))
