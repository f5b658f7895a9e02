"""What a decision is told as: the event behind every view of a step."""

from __future__ import annotations

from .evaluation import verdicts_of
from .events import StepDecided
from .parameters import Parameters
from .racing import Raced
from .trial import Trial


def decided(
    step: int, outcome: str, compared: str, candidate: Parameters, trial: Trial, raced: Raced
) -> StepDecided:
    """Return the event that tells of a decision.

    Args:
        outcome: accepted, promising or rolled_back.
        compared: Version that the candidate was compared with.
        raced: The race before; its episodes and money count as the decision's.
    """
    verdict = trial.verdict
    gold, critic = verdicts_of(trial.episodes)
    return StepDecided(
        run_id="",
        step=step,
        outcome=outcome,
        reason=verdict.reason,
        incumbent_version=compared,
        candidate=candidate,
        incumbent_score=verdict.incumbent_score,
        score=verdict.candidate_score,
        incumbent_low=verdict.incumbent_low,
        incumbent_high=verdict.incumbent_high,
        score_low=verdict.candidate_low,
        score_high=verdict.candidate_high,
        effect=verdict.candidate_score - verdict.incumbent_score,
        low=verdict.low,
        high=verdict.high,
        episodes=verdict.episodes + raced.episodes,
        gold=gold,
        critic=critic,
        usage=trial.spent + raced.usage,
        details={
            **verdict.details,
            **raced.details,
            "verdict": verdict.outcome,
            "p_value": verdict.p_value,
            "alpha": verdict.alpha,
        },
    )
