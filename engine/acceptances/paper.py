"""The paper's rule: accept what scores strictly higher on the same tasks."""

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
class Paper:
    """Accept iff the candidate's mean score is strictly higher than the incumbent's.

    Source: "Offline Training of Language Model Agents with Functions as Learnable Weights"
    (arXiv 2402.11359), Algorithm 2. The loss there is the share of failed tasks. It makes no
    test: without any true change it accepts in 13 to 39 % of the steps on 20 tasks, and the
    kept score is inflated (benchmarks/results/acceptance.md).
    """

    incumbent: Incumbent = "stored"  # as Algorithm 2 does; "rescored" runs it again each step

    def __post_init__(self) -> None:
        check_incumbent(self.incumbent)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        wave = first_wave(evidence, self.incumbent)
        if wave is not None:
            return wave
        difference = compare(evidence, self.incumbent)
        if difference.tasks < 2:
            return too_few(evidence, difference, self.incumbent)
        # sums of equal scores in another order may differ in the last bit
        better = difference.mean > 1e-12
        word = "above" if better else "not above"
        reason = (
            f"{percent(difference.candidate)} is {word} the {percent(difference.incumbent)}"
            f" of the version in use: {points(difference)}"
        )
        outcome: Outcome = "better" if better else "not_better"
        return verdict(evidence, difference, outcome, reason, self.incumbent)
