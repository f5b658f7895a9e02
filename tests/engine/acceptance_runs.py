"""Plays an acceptance policy as the trainer does, on simulated outcomes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from funcforge.engine.acceptance import Acceptance, Evidence, Scores, Verdict, Wave

Draw = Callable[[str, int], float | None]
"""(task, repeat) -> outcome. The same pair always gives the same outcome."""

MOST_WAVES = 500


def draws(seed: object, means: Mapping[str, float], failing: float = 0.0) -> Draw:
    """Return 0/1 outcomes with these means that depend on task and repeat alone."""

    def draw(task: str, repeat: int) -> float | None:
        chance = random.Random(f"{seed}/{task}/{repeat}")
        if chance.random() < failing:
            return None
        return float(chance.random() < means[task])

    return draw


def step(
    policy: Acceptance, evidence: Evidence, incumbent: Draw, candidate: Draw
) -> tuple[Verdict, Evidence, list[Wave]]:
    """Run the waves of one step and return what it came to."""
    waves: list[Wave] = []
    while isinstance(answer := policy.judge(evidence), Wave):
        waves.append(answer)
        assert len(waves) < MOST_WAVES
        assert answer.candidate or answer.incumbent
        evidence = replace(
            evidence,
            incumbent=_joined(evidence.incumbent, answer.incumbent, incumbent),
            candidate=_joined(evidence.candidate, answer.candidate, candidate),
        )
    return answer, evidence, waves


def _joined(scores: Scores, asked: tuple[tuple[str, int], ...], draw: Draw) -> Scores:
    joined = {task: list(outcomes) for task, outcomes in scores.items()}
    for task, repeat in asked:
        outcomes = joined.setdefault(task, [])
        assert repeat == len(outcomes), "repeats are asked in order and only once"
        outcomes.append(draw(task, repeat))
    return {task: tuple(outcomes) for task, outcomes in joined.items()}


def first_evidence(means: Mapping[str, float], seed: int = 0, failing: float = 0.0) -> Evidence:
    """Return the evidence of a run's first step: the incumbent was run once."""
    incumbent = draws((seed, "incumbent"), means, failing)
    return Evidence(
        step=1,
        seed=seed,
        tasks=tuple(means),
        incumbent={task: (incumbent(task, 0),) for task in means},
        candidate={},
    )
