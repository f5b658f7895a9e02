"""A paired test of fixed size on each proposal, at a level that is spent over the run."""

from __future__ import annotations

from dataclasses import dataclass

from ..acceptance import Evidence, Outcome, Verdict, Wave
from ..errors import ConfigError
from ..statistics import paired_p_value
from .single_wave import (
    Incumbent,
    check_incumbent,
    compare,
    first_wave,
    points,
    too_few,
    verdict,
)
from .spending import check_budget, step_alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Accept iff a one-sided paired test rejects "not better".

    Binary scores once per task: McNemar's exact test. Graded scores or repeats: the sign-flip
    permutation test of the task means. See `statistics.paired_p_value` for sources.

    With a stored incumbent each step's level holds for proposals that were made without looking
    at the incumbent's scores; `sequential` has no such condition.
    """

    alpha: float = 0.1  # the chance that a run accepts anything that is not better
    steps: int = 10  # planned proposals of the run; more are possible at ever smaller levels
    repeats: int = 1  # episodes per task and side
    incumbent: Incumbent = "rescored"

    def __post_init__(self) -> None:
        check_incumbent(self.incumbent)
        check_budget(self.alpha, self.steps)
        if self.repeats < 1:
            raise ConfigError(f"{self.repeats!r} is below 1", key="acceptance.repeats")

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        # outcomes that won an acceptance flatter: the incumbent is re-estimated without them
        skip = self.repeats if any(verdict.accepted for verdict in evidence.earlier) else 0
        wave = first_wave(evidence, self.incumbent, self.repeats, skip)
        if wave is not None:
            return wave
        difference = compare(evidence, self.incumbent, self.repeats, skip)
        if difference.tasks < 2:
            return too_few(evidence, difference, self.incumbent)
        alpha = step_alpha(self.alpha, self.steps, evidence.earlier)
        p_value = paired_p_value(difference.differences, evidence.seed)
        gain = points(difference)
        test = f"p = {p_value:.3g}, level {alpha:.3g}"
        outcome: Outcome
        if p_value <= alpha:
            outcome, reason = "better", f"{gain} are an improvement ({test})"
        elif difference.mean <= 0:
            outcome, reason = "not_better", f"{gain}: no improvement ({test})"
        else:
            outcome, reason = "not_enough_evidence", f"{gain} may be chance ({test})"
        return verdict(
            evidence, difference, outcome, reason, self.incumbent, p_value=p_value, alpha=alpha
        )
