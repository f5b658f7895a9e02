"""Means, intervals and paired tests of scores, clustered by task.

Repeats of one task are not independent draws of the task distribution: a score is the mean over
tasks of the mean over repeats, and only tasks count as units. Failed episodes (None) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Literal

from .errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ScoresByTask = Mapping[str, Sequence[float | None]]

# below this many non-zero differences all sign patterns are enumerated (2 ** 12 of them)
EXACT_SIGN_FLIPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A score and how sure it is."""

    score: float  # mean over tasks of the mean over repeats; NaN when no task is scored
    low: float
    high: float
    tasks: int  # with at least one score


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Candidate minus incumbent over the tasks that have a score on both sides."""

    tasks: int  # scored on both sides
    dropped: int  # scored on one side or none: left out of both means
    incumbent: float  # NaN where no task is scored on both sides
    candidate: float
    incumbent_interval: Estimate  # of these tasks
    candidate_interval: Estimate
    low: float
    high: float
    differences: tuple[float, ...]  # one per task, in task order

    @property
    def mean(self) -> float:
        """The gain of the candidate, in [-1, 1]."""
        return self.candidate - self.incumbent


def check_score(score: float | None, where: str) -> None:
    """Refuse what is no score.

    Raises:
        ValueError: NaN, infinite, or outside [0, 1].
    """
    if score is not None and not 0.0 <= score <= 1.0:  # NaN fails both comparisons
        raise ValueError(f"{where}: score {score!r} is not in [0, 1]")


def task_means(scores_by_task: ScoresByTask) -> dict[str, float]:
    """Return the mean over the scored repeats of each task that has any, in the given order.

    Raises:
        ValueError: A score is NaN or outside [0, 1].
    """
    means: dict[str, float] = {}
    for task, scores in scores_by_task.items():
        for repeat, score in enumerate(scores):
            check_score(score, f"task {task!r}, repeat {repeat}")
        scored = [score for score in scores if score is not None]
        if scored:
            means[task] = fmean(scored)
    return means


def interval(scores_by_task: ScoresByTask, level: float = 0.95) -> Estimate:
    """Return the mean score with a two-sided interval for tasks like these.

    One 0/1 score per task gives Wilson's interval. Repeats and graded scores give Wilson's form
    with the effective number of tasks that the variance between task means implies, corrected
    for its degrees of freedom. Where all task means are equal that variance says nothing, and
    each task counts as one.

    Source: Wilson (1927); Korn & Graubard (1998), "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data". They put the effective
    size into Clopper-Pearson; we put it into Wilson, as a single repeat then gives back Wilson.

    Args:
        scores_by_task: Task id -> scores of its repeats.
        level: Confidence, in (0, 1).

    Returns:
        The estimate; its interval is [0, 1] when fewer than two tasks are scored.

    Raises:
        ValueError: A score or the level is out of its range.
    """
    moments = Moments()
    for mean in task_means(scores_by_task).values():
        moments.add(mean)
    return moments.interval(level)


@dataclass(slots=True)
class Moments:
    """Task means, counted as they come: the interval of any number of tasks in no memory.

    Sums are of whole numbers (1e-12 of a score, and of a squared one), so that they do not
    depend on the order in which episodes end.
    """

    tasks: int = 0
    graded: bool = False  # whether any mean lies between 0 and 1
    total: int = 0
    squares: int = 0

    def add(self, mean: float) -> None:
        """Count one task's mean score, in [0, 1]."""
        self.tasks += 1
        self.graded = self.graded or 0.0 < mean < 1.0
        self.total += round(mean * _UNIT)
        self.squares += round(mean * mean * _UNIT)

    def interval(self, level: float = 0.95) -> Estimate:
        """Return the mean with its interval, as `interval` does.

        Raises:
            ValueError: The level is not in (0, 1).
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level {level!r} is not in (0, 1)")
        if self.tasks < 2:
            score = self.total / _UNIT if self.tasks else math.nan
            return Estimate(score=score, low=0.0, high=1.0, tasks=self.tasks)
        centre = min(1.0, max(0.0, self.total / _UNIT / self.tasks))
        z = NormalDist().inv_cdf(0.5 + level / 2)
        size = float(self.tasks)
        if self.graded:
            spread = self.squares / _UNIT - self.tasks * centre * centre
            variance = max(0.0, spread) / (self.tasks - 1)
            size = _effective_tasks(self.tasks, variance, centre, z, level)
        low, high = wilson(centre, size, z)
        return Estimate(score=centre, low=low, high=high, tasks=self.tasks)


_UNIT = 10**12


def _effective_tasks(tasks: int, variance: float, centre: float, z: float, level: float) -> float:
    from scipy.stats import t

    if variance <= 1e-9:  # what the rounding of the sums may leave
        return float(tasks)
    degrees = float(t.ppf(0.5 + level / 2, tasks - 1))
    return centre * (1 - centre) * tasks / variance * (z / degrees) ** 2


def wilson(share: float, size: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval for `share` observed on `size` units at normal quantile `z`."""
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def paired(
    incumbent: ScoresByTask, candidate: ScoresByTask, tasks: Sequence[str], level: float = 0.95
) -> PairedDifference:
    """Compare two sides task by task; tasks without a score on both sides are dropped in pairs.

    The interval is Bonett & Price's for paired proportions written for any difference in [-1, 1]:
    two pseudo-tasks that differ by +1 and by -1 are added. It never has zero width and is
    cautious on few tasks.

    Source: Bonett & Price (2012), "Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data".

    Raises:
        ValueError: A score is NaN or outside [0, 1].
    """
    before, after = task_means(incumbent), task_means(candidate)
    both = [task for task in tasks if task in before and task in after]
    differences = tuple(after[task] - before[task] for task in both)
    low, high = _difference_interval(differences, level)
    return PairedDifference(
        tasks=len(both),
        dropped=len(tasks) - len(both),
        incumbent=fmean([before[task] for task in both]) if both else math.nan,
        candidate=fmean([after[task] for task in both]) if both else math.nan,
        incumbent_interval=interval({task: incumbent[task] for task in both}, level),
        candidate_interval=interval({task: candidate[task] for task in both}, level),
        low=low,
        high=high,
        differences=differences,
    )


def _difference_interval(differences: Sequence[float], level: float) -> tuple[float, float]:
    if len(differences) < 2:
        return -1.0, 1.0
    size = len(differences) + 2
    centre = sum(differences) / size
    variance = (sum(value * value for value in differences) + 2) / size - centre * centre
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(variance / size)
    return max(-1.0, centre - half), min(1.0, centre + half)


def paired_p_value(
    differences: Sequence[float], seed: int, resamples: int = 20_000, *, two_sided: bool = False
) -> float:
    """Return the p-value of "the candidate is not better" from paired differences.

    Differences that are all -1, 0 or +1 take McNemar's exact test; others the sign-flip
    permutation test of the mean, enumerated for few differences and sampled for many.

    Source: McNemar (1947), exact binomial form; Fisher (1935), section 21. Both need the paired
    differences to be symmetric about zero under the null.

    Args:
        differences: Candidate minus incumbent, one per task.
        seed: Of the sampled permutations; equal seed, equal p-value.
        resamples: Sampled sign patterns where there are too many to enumerate.
        two_sided: Test "the candidate is neither better nor worse" instead.

    Returns:
        In (0, 1]; 1 when nothing differs.
    """
    from scipy.stats import binomtest

    changed = [value for value in differences if value != 0.0]
    if not changed:
        return 1.0
    if all(abs(value) == 1.0 for value in changed):
        wins = sum(value > 0 for value in changed)
        side: Literal["two-sided", "greater"] = "two-sided" if two_sided else "greater"
        return float(binomtest(wins, len(changed), 0.5, alternative=side).pvalue)
    return _sign_flip_p_value(changed, seed, resamples, two_sided)


def _sign_flip_p_value(
    changed: Sequence[float], seed: int, resamples: int, two_sided: bool
) -> float:
    import numpy as np

    sizes = np.abs(np.asarray(changed))
    total = float(np.sum(changed))
    # sums in another order may differ in the last bit
    observed = (abs(total) if two_sided else total) - 1e-9

    def reached(signs: NDArray[np.int64]) -> NDArray[np.bool_]:
        sums = signs @ sizes
        return (np.abs(sums) if two_sided else sums) >= observed  # type: ignore[no-any-return]

    if len(changed) <= EXACT_SIGN_FLIPS:
        patterns = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float(np.mean(reached(patterns * 2 - 1)))
    generator = np.random.default_rng([seed, len(changed)])
    hits = 0
    block = max(1, min(1000, 2_000_000 // len(changed)))  # patterns at once: 16 MB
    for start in range(0, resamples, block):
        shape = (min(block, resamples - start), len(changed))
        hits += int(np.count_nonzero(reached(generator.integers(0, 2, shape) * 2 - 1)))
    # the observed pattern counts as one draw: never zero, never too small (Phipson & Smyth 2010)
    return (hits + 1) / (resamples + 1)


def check_tasks(tasks: Sequence[str]) -> None:
    """Refuse a decision that has too few tasks to mean anything.

    Raises:
        ConfigError: Fewer than two tasks, or a task named twice.
    """
    if len(tasks) < 2:
        raise ConfigError(
            f"a decision needs at least 2 tasks, found {len(tasks)}", key="acceptance"
        )
    if len(set(tasks)) != len(tasks):
        raise ConfigError("a task is named twice", key="acceptance")
