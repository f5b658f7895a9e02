"""What the policies share that score every task a fixed number of times and then decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..acceptance import Evidence, Outcome, Scores, Verdict, Wave
from ..errors import ConfigError
from ..statistics import PairedDifference, check_tasks, paired

Incumbent = Literal["stored", "rescored"]


def check_incumbent(incumbent: str) -> None:
    """Refuse anything but the two ways to score the version in use.

    Raises:
        ConfigError: It is neither.
    """
    if incumbent not in ("stored", "rescored"):
        raise ConfigError(
            f"{incumbent!r} is neither 'stored' nor 'rescored'", key="acceptance.incumbent"
        )


def first_wave(
    evidence: Evidence, incumbent: Incumbent, repeats: int = 1, skip: int = 0
) -> Wave | None:
    """Return the one wave that is still to run, or None when it has run.

    Every task is asked `repeats` times of the candidate. The incumbent is asked for what it
    lacks or, when re-scored, anew. A failed episode counts as asked. The first `skip` outcomes
    of a stored incumbent are left aside.
    """
    check_tasks(evidence.tasks)
    candidate = _missing(evidence.tasks, evidence.candidate, repeats)
    untouched = not any(evidence.candidate.get(task) for task in evidence.tasks)
    if incumbent == "rescored" and untouched:
        counts = {task: len(evidence.incumbent.get(task, ())) for task in evidence.tasks}
        again = [(task, counts[task] + more) for more in range(repeats) for task in evidence.tasks]
        return Wave(candidate=candidate, incumbent=tuple(again))
    stored = _missing(evidence.tasks, evidence.incumbent, skip + repeats)
    return Wave(candidate=candidate, incumbent=stored) if candidate or stored else None


def _missing(tasks: tuple[str, ...], scores: Scores, repeats: int) -> tuple[tuple[str, int], ...]:
    return tuple(
        (task, repeat)
        for repeat in range(repeats)
        for task in tasks
        if repeat >= len(scores.get(task, ()))
    )


def compare(
    evidence: Evidence, incumbent: Incumbent, repeats: int = 1, skip: int = 0
) -> PairedDifference:
    """Pair the candidate with the stored outcomes, or with the last `repeats` when re-scored.

    Raises:
        ValueError: A score is NaN or outside [0, 1].
    """
    start = -repeats if incumbent == "rescored" else skip
    before = {task: scores[start:] for task, scores in evidence.incumbent.items()}
    candidate = {task: scores[:repeats] for task, scores in evidence.candidate.items()}
    return paired(before, candidate, evidence.tasks)


def verdict(
    evidence: Evidence,
    difference: PairedDifference,
    outcome: Outcome,
    reason: str,
    incumbent: Incumbent,
    **test: Any,
) -> Verdict:
    """Return the verdict on `difference`; `test` holds `p_value` and `alpha` if there was one."""
    if difference.dropped:
        plural = "s were" if difference.dropped > 1 else " was"
        reason += f" ({difference.dropped} task{plural} left out: no score on both sides)"
    candidate = sum(len(evidence.candidate.get(task, ())) for task in evidence.tasks)
    fresh = candidate if incumbent == "rescored" else 0
    details: Mapping[str, Any] = {"tasks": difference.tasks, "dropped": difference.dropped}
    return Verdict(
        outcome=outcome,
        reason=reason,
        incumbent_score=difference.incumbent,
        candidate_score=difference.candidate,
        low=difference.low,
        high=difference.high,
        incumbent_low=difference.incumbent_interval.low,
        incumbent_high=difference.incumbent_interval.high,
        candidate_low=difference.candidate_interval.low,
        candidate_high=difference.candidate_interval.high,
        episodes=candidate + fresh,
        details=details,
        **test,
    )


def too_few(evidence: Evidence, difference: PairedDifference, incumbent: Incumbent) -> Verdict:
    """Return the verdict for the case that failures left fewer than two tasks to compare."""
    reason = f"only {difference.tasks} of {len(evidence.tasks)} tasks have a score on both sides"
    return verdict(evidence, difference, "not_enough_evidence", reason, incumbent)


def points(difference: PairedDifference) -> str:
    """Write a difference with its interval for people and the optimizer."""
    return (
        f"{100 * difference.mean:+.1f} points [{100 * difference.low:+.1f},"
        f" {100 * difference.high:+.1f}] on {difference.tasks} tasks"
    )


def percent(score: float) -> str:
    """Write a score for people."""
    return f"{100 * score:.1f} %"
