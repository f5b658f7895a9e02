"""The optimizer of weights: what is selected becomes a job, its model becomes the proposal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from funcforge.engine.critic import Preference
from funcforge.engine.episode import Episode, Job, Score
from funcforge.engine.errors import BudgetExhausted, ConfigError, CriticError, TuningFailed
from funcforge.engine.messages import Message
from funcforge.engine.optimizer import Batch, Proposal, Situation
from funcforge.engine.optimizers.finetune import FinetuneOptimizer, FinetuneSettings
from funcforge.engine.parameters import Parameters, SetModel
from funcforge.engine.selection import Margin, Threshold

from tests.engine.optimizers.desk import Desk

FIRST = "test/agent"


def sampled(task_id: str, score: float, said: str, repeat: int = 0) -> Episode:
    job = Job(evaluation="train/0", parameters_version="v", task_id=task_id, repeat=repeat)
    return Episode(
        id=job.episode_id,
        run_id="run",
        job=job,
        prompt=f"do {task_id}",
        messages=(
            Message(role="user", content=f"do {task_id}"),
            Message(role="assistant", content=said),
        ),
        answer=said,
        end="answered",
        score=Score(value=score),
    )


def situation(*episodes: Episode, model: str | None = None, step: int = 1) -> Situation:
    batch = Batch(parameters=Parameters(model=model), episodes=episodes, tasks={})
    return Situation(step=step, batch=batch)


def pairs(count: int) -> list[Episode]:
    """Of each task a good and a bad one."""
    return [
        sampled(f"t{at}", score, said, repeat)
        for at in range(count)
        for repeat, (score, said) in enumerate([(0.9, "good"), (0.1, "bad")])
    ]


async def propose(desk: Desk, where: Situation, **settings: Any) -> Proposal:
    used = FinetuneSettings(model=FIRST, **{"least": 1, **settings})
    strategy = Margin() if used.preferences else Threshold(minimum=0.5)
    return await FinetuneOptimizer(strategy, used).propose({}, where, desk)


async def test_the_good_ones_are_learned_and_the_jobs_model_is_proposed() -> None:
    desk = Desk()

    proposal = await propose(desk, situation(*pairs(3)), epochs=2, seed=7)

    (plan,) = desk.plans
    assert (plan.base, plan.epochs, plan.seed) == (FIRST, 2, 7_001)
    assert [example.completion[0].content for example in plan.data.examples] == ["good"] * 3
    (edit,) = proposal.edits
    assert edit == SetModel(model=f"test/tuned-{plan.data.hash}-7001")
    assert [event.edit for event in desk.edits] == [edit]


@pytest.mark.parametrize(("from_start", "base"), [(False, "test/tuned"), (True, FIRST)])
async def test_a_later_step_goes_on_from_the_incumbents_model(from_start: bool, base: str) -> None:
    desk = Desk()

    await propose(desk, situation(*pairs(1), model="test/tuned", step=4), from_start=from_start)

    assert [(plan.base, plan.seed) for plan in desk.plans] == [(base, 4)]


async def test_too_few_are_no_job() -> None:
    desk = Desk()

    proposal = await propose(desk, situation(*pairs(3)), least=4)

    assert (proposal.edits, desk.plans) == ((), [])
    assert "fewer than the 4 it takes" in proposal.note


async def test_pairs_are_learned_as_pairs() -> None:
    desk = Desk()

    await propose(desk, situation(*pairs(2)), preferences=True)

    (plan,) = desk.plans
    found = [(pair.chosen.content, pair.rejected.content) for pair in plan.data.pairs]
    assert found == [("good", "bad")] * 2
    assert desk.compared == []


async def test_of_the_pairs_only_those_are_learned_that_the_critic_confirms_side_by_side() -> None:
    says: dict[str, Preference | CriticError] = {
        "t0": Preference(better="a"),
        "t1": Preference(better="b"),
        "t2": Preference(better=None, consistent=False),
        "t3": Preference(better="a"),
        "t4": CriticError("the critic compared nothing in 3 replies"),
    }

    def preferred(a: Episode, b: Episode) -> Preference:
        said = says[a.job.task_id]
        if isinstance(said, CriticError):
            raise said
        return said

    desk = Desk()
    desk.preferred = preferred

    proposal = await propose(desk, situation(*pairs(5)), preferences=True, pairwise=True)

    (plan,) = desk.plans
    assert [pair.task_id for pair in plan.data.pairs] == ["t0", "t3"]
    assert "2 pairs, 3 left out" in proposal.note
    good, bad = pairs(1)
    assert desk.compared[0] == (good.id, bad.id)


@pytest.mark.parametrize(
    "error",
    [
        TuningFailed("the job failed", kind="failed"),
        BudgetExhausted("no tokens left", cap="tokens", limit=1),
    ],
)
async def test_what_ends_the_run_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)):
        await propose(Desk(error), situation(*pairs(1)))


async def test_a_run_without_a_critic_cannot_compare() -> None:
    with pytest.raises(ConfigError, match="no critic"):
        await propose(Desk(), situation(*pairs(1)), preferences=True, pairwise=True)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"least": 0}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    settings = replace(FinetuneSettings(model=FIRST), **wrong)

    with pytest.raises(ConfigError, match="at least 1"):
        FinetuneOptimizer(Threshold(), settings)
