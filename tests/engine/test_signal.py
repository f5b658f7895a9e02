"""Whose verdict is the signal, and that the critic never sees gold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from funcforge.engine.critic import Judgement, Preference
from funcforge.engine.episode import Episode, Score
from funcforge.engine.errors import ScorerError
from funcforge.engine.signal import SignalScorer
from funcforge.engine.tasks import Task

from tests.engine.critics.material import episode

SECRET = "the right answer is 42"
TASK = Task(id="t1", prompt="p", target=SECRET, files={"a": SECRET}, metadata={"solution": SECRET})


class Watching:
    """A critic that keeps all it was shown."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    async def judge(self, task: Task, episode: Episode) -> Judgement:
        self.shown += [task, episode]
        return Judgement(episode_id=episode.id, score=0.7, votes=(0.7,), reason="good enough")

    async def prefer(self, task: Task, a: Episode, b: Episode) -> Preference:
        raise NotImplementedError


async def gold(task: Task, episode: Episode) -> Score:
    if task.target is None:
        raise ScorerError("no target")
    return Score(value=0.0, comment=f"no: {SECRET}")


def within(evaluation: str) -> Episode:
    one = episode()
    return replace(
        one,
        job=replace(one.job, evaluation=evaluation),
        score=Score(value=1.0, comment=SECRET),
        metadata={"solution": SECRET},
    )


async def test_the_critic_sees_neither_target_nor_score_nor_a_column_of_the_row() -> None:
    critic = Watching()

    score = await SignalScorer(gold=gold, critic=critic)(TASK, within("train/0"))

    assert SECRET not in repr(critic.shown)
    assert SECRET not in score.comment


async def test_the_critics_score_is_the_signal_and_gold_stands_beside() -> None:
    score = await SignalScorer(gold=gold, critic=Watching())(TASK, within("validation/1"))

    assert (score.value, score.by, score.gold) == (0.7, "critic", 0.0)
    assert score.comment == "good enough"
    assert score.judgement is not None


async def test_gold_is_the_signal_and_the_critic_stands_beside() -> None:
    scorer = SignalScorer(gold=gold, critic=Watching(), signal="gold")
    score = await scorer(TASK, within("train/0"))

    assert (score.value, score.by, score.gold) == (0.0, "gold", 0.0)
    assert score.judgement is not None
    assert score.judgement.score == 0.7


@pytest.mark.parametrize(
    ("evaluation", "by"),
    [("train/0", "critic"), ("train/3/history", "critic"), ("validation/3", "gold"),
     ("validation/3.2/incumbent", "gold"), ("test/after", "gold")],
)  # fmt: skip
async def test_gold_may_decide_on_held_out_tasks_while_a_critic_is_learned_from(
    evaluation: str, by: str
) -> None:
    scorer = SignalScorer(gold=gold, critic=Watching(), accept_by="gold")

    assert (await scorer(TASK, within(evaluation))).by == by


async def test_tasks_without_a_target_are_judged_by_the_critic_alone() -> None:
    task = replace(TASK, target=None)

    score = await SignalScorer(gold=gold, critic=Watching())(task, within("train/0"))
    assert (score.value, score.gold) == (0.7, None)
    with pytest.raises(ScorerError, match="has no target"):
        await SignalScorer(gold=gold, critic=Watching(), accept_by="gold")(task, within("test/0"))
