"""The rules we compare with, on thousands of simulated runs at once."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks.acceptance.outcomes import Array, Outcomes

Bools = NDArray[np.bool_]

STEP_BY_STEP = "sequential, climb = false"


def mean_scores(model: Outcomes, rng: np.random.Generator, means: Array, repeats: int = 1) -> Array:
    """Return the observed mean of each task over `repeats`."""
    scores = sum(model.scores(rng, means) for _ in range(repeats))
    observed: Array = np.asarray(scores) / repeats
    return observed


def strictly_higher(before: Array, after: Array) -> Bools:
    """The paper's rule."""
    higher: Bools = after.sum(-1) > before.sum(-1) + 1e-9
    return higher


def no_lower(before: Array, after: Array) -> Bools:
    """The reference code's rule: ties count as better."""
    return after.sum(-1) >= before.sum(-1) - 1e-9


def mcnemar(before: Array, after: Array, level: float) -> Bools:
    """McNemar's exact test on 0/1 scores, all repeats as pairs along the last axis."""
    wins, losses = (after > before).sum(-1), (after < before).sum(-1)
    passed: Bools = binom.sf(wins - 1, wins + losses, 0.5) <= level
    return passed


@cache
def _signs(patterns: int, size: int) -> Array:
    return np.random.default_rng(0).choice([-1.0, 1.0], (patterns, size))


def sign_flips(before: Array, after: Array, level: float, patterns: int = 1999) -> Bools:
    """The sign-flip permutation test of the mean paired difference, for graded scores."""
    difference = after - before
    drawn = np.abs(difference) @ _signs(patterns, difference.shape[-1]).T
    hits = (drawn >= difference.sum(-1, keepdims=True) - 1e-9).sum(-1)
    passed: Bools = (hits + 1) / (patterns + 1) <= level
    return passed


def paired_test(model: Outcomes, before: Array, after: Array, level: float) -> Bools:
    """The fixed test: McNemar's for 0/1 scores, sign flips for graded ones."""
    return (sign_flips if model.graded else mcnemar)(before, after, level)
