"""Bootstrap over tasks of sums of figures: costs, tokens, latencies, failures, accuracies.

All arms are resampled together, as they ran the same tasks: a difference of two arms is as sure as
pairs make it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RESAMPLES = 2_000
LEAST_TASKS = 10  # with fewer a bootstrap is too sure of itself
_AT_ONCE = 4_000_000  # weights that are held at once
_QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
_BOUNDED = frozenset({"accuracy", "failed"})  # shares, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """What one arm's episodes of one task came to."""

    accuracy: float | None  # mean over its scored repeats; None: none is scored
    scored: int  # episodes
    solved: int  # of these, with the full score
    failed: int  # episodes without a score
    cost_usd: float  # of all its calls
    tokens: int
    latencies_s: tuple[float, ...] = ()  # of each answered call


Terms = Sequence[tuple[float, str, str]]
"""Coefficient, metric, arm: a sum of them is resampled."""


def sum_interval(
    terms: Terms, arms: Mapping[str, Mapping[str, TaskFigures]], *, level: float, seed: int
) -> tuple[float, float, int] | None:
    """Return the interval of a sum of figures, and on how many tasks; None: cannot be told.

    Source: percentile bootstrap over tasks (Efron 1979). Shares get two pseudo-tasks, all and
    nothing, as accuracies do (`contrast.mean_interval`): no failure in few tasks is not a proof.

    Args:
        terms: What is summed up.
        arms: Arm -> task id -> its figures.
        level: Two-sided, in (0, 1).
        seed: Equal seed, equal interval.
    """
    import numpy as np

    tasks = sorted({task for _, _, arm in terms for task in arms.get(arm, ())})
    if len(tasks) < LEAST_TASKS:
        return None
    size = len(tasks) + 2
    generator = np.random.default_rng([seed, size])
    weights = generator.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    total: Any = np.zeros(RESAMPLES)
    for coefficient, metric, arm in terms:
        figures = [arms.get(arm, {}).get(task) for task in tasks]
        if metric in _QUANTILES:
            found = _quantiles(weights, figures, _QUANTILES[metric])
        else:
            found = _ratios(weights, figures, metric, coefficient > 0)
        total = total + coefficient * found
    if not np.isfinite(total).all():
        return None  # a resample in which nothing was solved, or nothing answered
    low, high = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), len(tasks)


def _ratios(
    weights: Any, figures: Sequence[TaskFigures | None], metric: str, high_first: bool
) -> Any:
    """Return a sum over a count in each resample."""
    import numpy as np

    pairs = [(0.0, 0.0) if one is None else _pair(one, metric) for one in figures]
    parts = np.asarray(pairs, dtype=float)
    most = float(parts[:, 1].mean()) if metric in _BOUNDED else 0.0
    ends = [(most, most), (0.0, most)]
    parts = np.concatenate([parts, np.asarray(ends if high_first else ends[::-1])])
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weights @ parts[:, 0]) / (weights @ parts[:, 1])


def _pair(one: TaskFigures, metric: str) -> tuple[float, float]:
    """Return what is summed up over tasks for a metric, and what it is divided by."""
    match metric:
        case "accuracy":
            return (one.accuracy or 0.0, float(one.accuracy is not None))
        case "cost":
            return (one.cost_usd, one.scored)
        case "cost_per_solved":
            return (one.cost_usd, one.solved)
        case "tokens":
            return (one.tokens, one.scored)
    return (one.failed, one.failed + one.scored)


def _quantiles(weights: Any, figures: Sequence[TaskFigures | None], share: float) -> Any:
    """Return a quantile of all calls' latencies in each resample."""
    import numpy as np

    calls = sorted(
        (latency, place)
        for place, one in enumerate(figures)
        for latency in (one.latencies_s if one else ())
    )
    if not calls:
        return np.full(len(weights), np.nan)
    latencies = np.asarray([latency for latency, _ in calls])
    places = np.asarray([place for _, place in calls])
    step = max(1, _AT_ONCE // len(calls))
    found = []
    for start in range(0, len(weights), step):
        heaps = np.cumsum(weights[start : start + step][:, places], axis=1)
        due = np.maximum(share * heaps[:, -1], 1)
        reached = (heaps < due[:, None]).sum(axis=1)
        value = latencies[np.minimum(reached, len(calls) - 1)]
        found.append(np.where(heaps[:, -1] > 0, value, np.nan))
    return np.concatenate(found)
