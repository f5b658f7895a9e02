"""Arms of a comparison against each other, task by task.

The unit is the task: repeats are averaged within it, so that they narrow nothing that they do not
really tell. A repeat without a score on one side is left out on both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean
from typing import Any, Literal

from .statistics import EXACT_SIGN_FLIPS, ScoresByTask

Verdict = Literal["better", "worse", "cannot tell"]
RESAMPLES = 5_000  # of the bootstrap
PERMUTATIONS = 20_000
POWER = 0.8  # what "tasks needed to tell" are needed for
_FEW_VALUES = 64  # distinct values up to which resampling counts instead of drawing one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One pair of arms: `b` minus `a`."""

    a: str
    b: str
    tasks: int  # with a repeat that is scored on both sides
    pairs: int  # of episodes: same task, same repeat, scored on both sides
    dropped: int  # pairs left out, as one side or both failed
    accuracy_a: float  # over these tasks; NaN where there are none
    accuracy_b: float
    difference: float
    low: float  # of the difference, at `level`; bootstrap over tasks
    high: float
    wins: int  # tasks on which b did better
    losses: int
    test: str  # "mcnemar" or "permutation"
    p_value: float  # two-sided
    p_holm: float  # the same, corrected for all pairs of the comparison
    verdict: Verdict  # on b, at the comparison's alpha
    tasks_to_tell: int | None  # that this difference would take; None: none was seen


def contrasts(
    arms: Mapping[str, ScoresByTask], *, alpha: float = 0.05, seed: int = 0
) -> tuple[Contrast, ...]:
    """Compare every pair of arms.

    Source: exact McNemar (1947) where every task differs by 0 or 1; the sign-flip permutation
    test (Fisher 1935) otherwise; Holm (1979) over all pairs. Intervals: percentile bootstrap over
    tasks (Efron 1979) of the sample with two pseudo-tasks that differ by +1 and -1, Bonett &
    Price's (2012) adjustment, without which few tasks give intervals that are too narrow, and
    equal arms one of no width. Intervals are not corrected for the number of pairs.

    Args:
        arms: Name -> task -> score of each repeat; None: failed.
        alpha: Chance of any false verdict over all pairs; intervals are at 1 - alpha.
        seed: Of the resampling; equal seed, equal result.
    """
    names = list(arms)
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    found = [_pair(a, b, arms[a], arms[b], len(pairs), alpha, seed) for a, b in pairs]
    corrected = holm([one.p_value for one in found])
    return tuple(_decided(one, p_holm, alpha) for one, p_holm in zip(found, corrected, strict=True))


def _pair(
    a: str, b: str, one: ScoresByTask, other: ScoresByTask, family: int, alpha: float, seed: int
) -> Contrast:
    sides, pairs, dropped = _paired_means(one, other)
    differences = [right - left for left, right in sides]
    p_value, test = two_sided_p_value(differences, seed)
    difference = fmean(differences) if differences else math.nan
    low, high = mean_interval(differences, level=1 - alpha, seed=seed)
    return Contrast(
        a=a,
        b=b,
        tasks=len(differences),
        pairs=pairs,
        dropped=dropped,
        accuracy_a=fmean([left for left, _ in sides]) if sides else math.nan,
        accuracy_b=fmean([right for _, right in sides]) if sides else math.nan,
        difference=difference,
        low=low,
        high=high,
        wins=sum(value > 0 for value in differences),
        losses=sum(value < 0 for value in differences),
        test=test,
        p_value=p_value,
        p_holm=p_value,
        verdict="cannot tell",
        tasks_to_tell=tasks_to_tell(differences, alpha / max(family, 1)),
    )


def _decided(one: Contrast, p_holm: float, alpha: float) -> Contrast:
    verdict: Verdict = "cannot tell"
    if p_holm <= alpha:
        verdict = "better" if one.difference > 0 else "worse"
    return replace(one, p_holm=p_holm, verdict=verdict)


def _paired_means(
    one: ScoresByTask, other: ScoresByTask
) -> tuple[list[tuple[float, float]], int, int]:
    """Return both means of each task over the repeats scored on both sides, and the counts."""
    means: list[tuple[float, float]] = []
    pairs = dropped = 0
    for task in sorted(one.keys() | other.keys()):
        left, right = one.get(task, ()), other.get(task, ())
        both = [
            (x, y) for x, y in zip(left, right, strict=False) if x is not None and y is not None
        ]
        pairs += len(both)
        dropped += max(len(left), len(right)) - len(both)
        if both:
            means.append((fmean([x for x, _ in both]), fmean([y for _, y in both])))
    return means, pairs, dropped


def mean_interval(
    values: Sequence[float], *, level: float, seed: int, bounds: tuple[float, float] = (-1.0, 1.0)
) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over tasks, never of no width.

    Args:
        values: One per task, within `bounds`.
        level: Two-sided, in (0, 1).
        seed: Equal seed, equal interval.
        bounds: The least and the largest value there can be: the two pseudo-tasks.
    """
    import numpy as np

    if len(values) < 2:
        return bounds
    sample = np.concatenate([np.asarray(values, dtype=float), np.asarray(bounds)])
    means = _resampled_means(sample, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    middle = float(np.mean(np.asarray(values)))
    return max(bounds[0], min(float(low), middle)), min(bounds[1], max(float(high), middle))


def _resampled_means(sample: Any, seed: int) -> Any:
    import numpy as np

    generator = np.random.default_rng([seed, len(sample)])
    size = len(sample)
    values, counts = np.unique(sample, return_counts=True)
    if len(values) <= _FEW_VALUES:
        drawn = generator.multinomial(size, counts / size, size=RESAMPLES)
        return drawn @ values / size
    chunk = max(1, 2_000_000 // size)  # draws that are held at once
    return np.concatenate(
        [
            sample[generator.integers(0, size, (min(chunk, RESAMPLES - start), size))].mean(axis=1)
            for start in range(0, RESAMPLES, chunk)
        ]
    )


def two_sided_p_value(differences: Sequence[float], seed: int) -> tuple[float, str]:
    """Return the p-value of "neither is better", and the name of the test.

    Args:
        differences: One per task.
        seed: Of the sampled permutations.
    """
    from scipy.stats import binomtest

    changed = [value for value in differences if value != 0.0]
    if all(abs(value) == 1.0 for value in changed):
        if not changed:
            return 1.0, "mcnemar"
        wins = sum(value > 0 for value in changed)
        return float(binomtest(wins, len(changed), 0.5).pvalue), "mcnemar"
    return _permutation_p_value(changed, seed), "permutation"


def _permutation_p_value(changed: Sequence[float], seed: int) -> float:
    import numpy as np

    sizes = np.abs(np.asarray(changed))
    observed = abs(float(np.sum(np.asarray(changed)))) - 1e-9  # of rounding, in another order
    if len(changed) <= EXACT_SIGN_FLIPS:
        patterns = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float(np.mean(np.abs((patterns * 2 - 1) @ sizes) >= observed))
    # tasks that differ by the same amount are drawn together: how many of them keep their sign
    values, counts = np.unique(np.round(sizes, 12), return_counts=True)
    generator = np.random.default_rng([seed, len(changed)])
    kept = generator.binomial(counts, 0.5, size=(PERMUTATIONS, len(counts)))
    sums = np.abs((2 * kept - counts) @ values)
    # the observed pattern counts as one draw: never zero, never too small (Phipson & Smyth 2010)
    return (int(np.count_nonzero(sums >= observed)) + 1) / (PERMUTATIONS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for how many there are, in the given order.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def tasks_to_tell(differences: Sequence[float], alpha: float) -> int | None:
    """Return how many tasks like these a difference like this takes to be told, at power 0.8.

    Source: the normal approximation n = (z_alpha/2 + z_power)^2 s^2 / d^2 of a paired test.
    """
    if not differences:
        return None
    mean = fmean(differences)
    if abs(mean) < 1e-12:
        return None
    size = len(differences) + 2  # with the two pseudo-tasks, as in the interval
    variance = (sum(value * value for value in differences) + 2) / size - mean * mean
    normal = NormalDist()
    quantile = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)
    return max(2, math.ceil(quantile**2 * max(variance, 0.0) / mean**2))
