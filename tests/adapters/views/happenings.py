"""Events of a small run, for the views' tests."""

from __future__ import annotations

from funcforge.engine.episode import Episode, Failure, Job, Score
from funcforge.engine.events import (
    EditProposed,
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    RunFinished,
    RunStarted,
    StepDecided,
    StepStarted,
)
from funcforge.engine.functions import Function
from funcforge.engine.parameters import AddFunction, Parameters
from funcforge.engine.usage import Usage

RATE = Function(
    name="rate",
    description="Distance over time.",
    arguments={"type": "object", "properties": {"km": {"type": "number"}}},
    code="def rate(km, h):\n    return km / h\n",
)
EMPTY = Parameters()
LEARNED = Parameters(functions=(RATE,))
USED = Usage(calls=1, prompt_tokens=100, completion_tokens=10, cost_pusd=2_000_000_000)


def started(evaluation: str, parameters: Parameters, episodes: int, at: float = 0.0) -> Event:
    return EvaluationStarted(
        run_id="r1", at_unix_s=at, evaluation=evaluation, parameters=parameters, episodes=episodes
    )


def episode(
    evaluation: str, parameters: Parameters, task: int, score: float | None, at: float = 0.0
) -> Event:
    job = Job(evaluation=evaluation, parameters_version=parameters.version, task_id=f"t{task}")
    return EpisodeFinished(
        run_id="r1",
        at_unix_s=at,
        episode=Episode(
            id=job.episode_id,
            run_id="r1",
            job=job,
            prompt="?",
            score=None if score is None else Score(value=score),
            failure=Failure(kind="overloaded", message="503") if score is None else None,
            usage=USED,
        ),
    )


def finished(evaluation: str, parameters: Parameters, score: float, failed: int = 0) -> Event:
    return EvaluationFinished(
        run_id="r1", evaluation=evaluation, parameters_version=parameters.version, score=score,
        low=max(score - 0.1, 0), high=min(score + 0.1, 1), tasks=4, episodes=4, failed=failed,
    )  # fmt: skip


def decided(step: int, outcome: str, candidate: Parameters = LEARNED) -> Event:
    return StepDecided(
        run_id="r1", step=step, outcome=outcome, reason="3 of 4 solved instead of 1",
        incumbent_version=EMPTY.version, candidate=candidate, incumbent_score=0.25, score=0.75,
    )  # fmt: skip


def whole_run(sandbox: str = "bubblewrap") -> list[Event]:
    """A baseline, one accepted step, the test."""
    return [
        RunStarted(run_id="r1", kind="train", name="quick", resumed=False, sandbox=sandbox),
        started("test/before", EMPTY, 4),
        finished("test/before", EMPTY, 0.0),
        started("train/0", EMPTY, 4),
        *(episode("train/0", EMPTY, n, float(n == 0)) for n in range(4)),
        finished("train/0", EMPTY, 0.25),
        StepStarted(run_id="r1", step=1, incumbent_version=EMPTY.version),
        EditProposed(run_id="r1", step=1, action=0, edit=AddFunction(function=RATE)),
        EditProposed(run_id="r1", step=1, action=1, edit=None, refused="no call in the reply"),
        started("train/1", LEARNED, 4),
        *(episode("train/1", LEARNED, n, float(n > 0)) for n in range(4)),
        finished("train/1", LEARNED, 0.75),
        decided(1, "accepted"),
        finished("test/after", LEARNED, 1.0),
        RunFinished(run_id="r1", status="done", stopped_by="epochs", usage=USED, seconds=3.0),
    ]
