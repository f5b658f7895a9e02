"""What a climb believes: exact updates, and no winner's curse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from funcforge.engine.acceptances.belief import (
    RARE_SCALES,
    RARE_WEIGHTS,
    Gains,
    Level,
    Screened,
    Screening,
    screened,
)
from funcforge.engine.acceptances.betting import Array, Seen
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

VARIANCES = st.floats(1e-4, 0.1)
MEANS = st.floats(0.05, 0.95)
TASKS, DRAWS, SPREAD = 30, 16, 0.06


def gains(runs: int = 1, spread: float = SPREAD) -> Gains:
    zeros = np.zeros(runs)
    return Gains(spread, zeros, zeros, zeros)


def unseen(runs: int, tasks: int) -> Seen:
    return Seen(np.zeros((runs, tasks)), np.zeros((runs, tasks)), np.zeros((runs, tasks)))


@given(mean=MEANS, variance=VARIANCES, values=st.lists(st.tuples(MEANS, VARIANCES), max_size=5))
def test_estimates_are_weighted_by_how_sure_they_are(
    mean: float, variance: float, values: list[tuple[float, float]]
) -> None:
    level = Level(np.array([mean]), np.array([variance]))

    for value, noise in values:
        level.learn(np.array([0]), np.array([value]), np.array([noise]))

    every = [(mean, variance), *values]
    weights = [1 / one for _, one in every]
    together = sum(weight * value for weight, (value, _) in zip(weights, every, strict=True))
    assert level.mean[0] == pytest.approx(together / sum(weights))
    assert level.variance[0] == pytest.approx(1 / sum(weights))


def posterior(prior: Callable[[Array], Array], likelihood: Callable[[Array], Array]) -> list[float]:
    """Return mean and variance of a posterior by summing over a fine grid."""
    grid = np.linspace(-4, 5, 90_001)
    weight = prior(grid) * likelihood(grid)
    weight /= weight.sum()
    mean = float((weight * grid).sum())
    return [mean, float((weight * (grid - mean) ** 2).sum())]


def mixture(mean: float, extra: float) -> Callable[[Array], Array]:
    """Return the density of a gain that is `extra` more variable, about `mean`."""
    parts = zip(RARE_WEIGHTS, np.sqrt(RARE_SCALES * SPREAD**2 + extra), strict=True)
    every = [(weight, norm(mean, deviation)) for weight, deviation in parts]
    return lambda x: sum((weight * one.pdf(x) for weight, one in every), np.zeros_like(x))


@settings(deadline=None, max_examples=30)
@given(mean=MEANS, variance=VARIANCES, outcomes=st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_screening_is_weighed_by_the_rule_of_bayes(
    mean: float, variance: float, outcomes: list[bool]
) -> None:
    level, prior = Level(np.array([mean]), np.array([variance])), gains()
    screening = Screening(unseen(1, TASKS), prior)
    for number, outcome in enumerate(outcomes):
        task = np.array([number % TASKS])
        screening.settle(np.array([0]), task, np.array([float(outcome)]))
    seen, noise = (float(one[0]) for one in screening.estimate())

    found = screened(level, prior, screening)

    gain = posterior(mixture(0, 0), norm(seen - mean, np.sqrt(variance + noise)).pdf)
    candidate = posterior(mixture(mean, variance), norm(seen, np.sqrt(noise)).pdf)
    start = posterior(norm(mean, np.sqrt(variance)).pdf, mixture(seen, noise))
    near = {"rel": 1e-3, "abs": 1e-5}
    assert [found.gain[0], found.variance[0]] == pytest.approx(gain, **near)
    assert [found.candidate.mean[0], found.candidate.variance[0]] == pytest.approx(
        candidate, **near
    )
    assert [level.mean[0], level.variance[0]] == pytest.approx(start, **near)


def test_a_great_lead_is_believed_at_once_and_a_small_one_is_not() -> None:
    found = []
    for solved in (10, 16):  # of 16, where half are usual
        level, prior = Level(np.array([0.5]), np.array([1e-4])), gains()
        screening = Screening(unseen(1, TASKS), prior)
        for task in range(16):
            outcome = np.array([float(task < solved)])
            screening.settle(np.array([0]), np.array([task]), outcome)
        found.append(float(screened(level, prior, screening).gain[0]))

    assert found[0] < 0.04 < 0.3 < found[1]


def play(rng: np.random.Generator, truth: Array, gain: Array, prior: Gains) -> Screened:
    """Screen candidates of these true gains, each against a level that is known exactly."""
    runs = np.arange(len(gain))
    counts = np.full((len(gain), TASKS), 20.0)
    screening = Screening(Seen(truth[:, None] * counts, truth[:, None] * counts, counts), prior)
    for draw in range(DRAWS):
        outcome = (rng.random(len(gain)) < truth + gain).astype(float)
        screening.settle(runs, np.full(len(gain), draw), outcome)
    return screened(Level(truth, np.full(len(gain), 1e-9)), prior, screening)


def test_what_looks_promising_is_worth_what_it_is_taken_for() -> None:
    rng, runs = np.random.default_rng(1), 20_000
    rare = rng.random(runs) < RARE_WEIGHTS[1]
    spread = 0.03 * np.sqrt(np.where(rare, RARE_SCALES[1], RARE_SCALES[0]))
    truth, gain = np.full(runs, 0.5), rng.normal(0, spread)

    found = play(rng, truth, gain, gains(runs, 0.03))

    promising = found.gain > 0.01
    assert 0.1 < promising.mean() < 0.6
    believed, true = found.gain[promising].mean(), gain[promising].mean()
    assert believed == pytest.approx(true, abs=0.003)  # plain estimates are far above it


def test_a_run_of_harmful_proposals_makes_the_next_one_doubtful() -> None:
    rng, runs = np.random.default_rng(2), 2_000
    truth, prior = np.full(runs, 0.6), gains(runs)

    for _ in range(8):
        play(rng, truth, np.full(runs, -0.1), prior)

    mean, variance = prior.expected()
    assert -0.08 < mean.mean() < -0.01
    assert np.all(variance >= 0.02**2)
    good = gains(runs)
    for _ in range(8):
        play(rng, truth, np.full(runs, 0.1), good)
    assert np.all(good.expected()[0] <= 0), "a proposal is not good because earlier ones were"


def test_one_outcome_of_every_task_gives_their_mean_whatever_was_guessed() -> None:
    outcomes = np.array([1.0, 0.0, 1.0, 1.0])
    counts = np.array([[3.0, 3.0, 3.0, 3.0]])
    totals = np.array([[3.0, 0.0, 1.0, 2.0]])
    screening = Screening(Seen(totals, totals, counts), gains())

    for task, outcome in enumerate(outcomes):
        screening.settle(np.array([0]), np.array([task]), np.array([outcome]))

    assert screening.estimate()[0][0] == pytest.approx(outcomes.mean())
