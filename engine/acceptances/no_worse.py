"""The ties-count rule of the paper's reference code, for comparison with it."""

from __future__ import annotations

from dataclasses import dataclass

from ..acceptance import Evidence, Outcome, Verdict, Wave
from .single_wave import (
    Incumbent,
    check_incumbent,
    compare,
    first_wave,
    percent,
    points,
    too_few,
    verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorse:
    """Accept iff the candidate's mean score is at least the incumbent's.

    Source: AgentOptimizer in AG2 <= 0.9.9, which differs from the paper in this.
    """

    incumbent: Incumbent = "stored"

    def __post_init__(self) -> None:
        check_incumbent(self.incumbent)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        wave = first_wave(evidence, self.incumbent)
        if wave is not None:
            return wave
        difference = compare(evidence, self.incumbent)
        if difference.tasks < 2:
            return too_few(evidence, difference, self.incumbent)
        no_worse = difference.mean >= -1e-12
        word = "no worse than" if no_worse else "below"
        reason = (
            f"{percent(difference.candidate)} is {word} the {percent(difference.incumbent)}"
            f" of the version in use: {points(difference)}"
        )
        outcome: Outcome = "better" if no_worse else "not_better"
        return verdict(evidence, difference, outcome, reason, self.incumbent)
