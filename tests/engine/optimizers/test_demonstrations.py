"""The optimizer of demonstrations: the best trajectories, once each, the next best after a no."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from funcforge.engine.canonical import canonical_json
from funcforge.engine.episode import Episode, Job, Score
from funcforge.engine.errors import ConfigError
from funcforge.engine.judgement import Judgement
from funcforge.engine.messages import Message, ToolCall
from funcforge.engine.optimizer import Batch, FailedAttempt, Proposal, Situation
from funcforge.engine.optimizers.demonstrations import DemonstrationOptimizer, demonstration
from funcforge.engine.parameters import AddDemonstration, Parameters, apply
from funcforge.engine.selection import BestOfK

from tests.engine.optimizers.desk import Desk


def sampled(task_id: str, score: float, repeat: int = 0, *, last: bool = True) -> Episode:
    job = Job(evaluation="train/0", parameters_version="v", task_id=task_id, repeat=repeat)
    call = ToolCall(id="call_1", name="add", arguments=f'{{"a": {repeat}}}')
    judgement = Judgement(episode_id=job.episode_id, score=score, votes=(score,))
    closing = (Message(role="assistant", content=f"done {repeat}"),) if last else ()
    return Episode(
        id=job.episode_id,
        run_id="run",
        job=job,
        prompt=f"do {task_id}",
        messages=(
            Message(role="system", content="help"),
            Message(role="user", content="an example"),
            Message(role="assistant", content="its answer"),
            Message(role="user", content=f"do {task_id}"),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="3", tool_call_id="call_1"),
            *closing,
        ),
        answer="done",
        end="answered",
        score=Score(value=score, by="critic", judgement=judgement),
    )


def situation(
    *episodes: Episode, parameters: Parameters | None = None, rejected: int = 0
) -> Situation:
    used = parameters or Parameters()
    return Situation(
        step=1,
        batch=Batch(parameters=used, episodes=episodes, tasks={}),
        failures=(FailedAttempt(parameters=used, score=0.0, step=0),) * rejected,
    )


async def propose(where: Situation, state: Any = None, per_step: int = 2) -> Proposal:
    optimizer = DemonstrationOptimizer(BestOfK(minimum=0.5), per_step=per_step)
    return await optimizer.propose(state or optimizer.init(), where, Desk())


def shown(proposal: Proposal) -> list[str]:
    found = []
    for edit in proposal.edits:
        assert isinstance(edit, AddDemonstration)
        found.append(edit.demonstration.task_id)
    return found


FOUR = (sampled("a", 0.6), sampled("b", 0.9), sampled("c", 0.7), sampled("d", 0.2))


async def test_the_best_come_first_and_none_that_was_not_selected() -> None:
    assert shown(await propose(situation(*FOUR))) == ["b", "c"]
    assert shown(await propose(situation(*FOUR), per_step=9)) == ["b", "c", "a"]


async def test_after_a_roll_back_the_next_best_are_proposed_until_there_are_none() -> None:
    assert shown(await propose(situation(*FOUR, rejected=1))) == ["a"]
    assert shown(await propose(situation(*FOUR, rejected=2))) == []


async def test_a_task_is_shown_again_only_for_a_better_trajectory() -> None:
    first = await propose(situation(*FOUR))
    learned = apply(first.edits, Parameters())
    state = json.loads(canonical_json(first.state))

    same = await propose(situation(*FOUR, parameters=learned), state)
    better = await propose(situation(sampled("b", 0.95, 3), parameters=learned), state)
    worse = await propose(situation(sampled("b", 0.85, 3), parameters=learned), state)

    assert (shown(same), shown(better), shown(worse)) == (["a"], ["b"], [])
    assert len(apply(better.edits, learned).demonstrations) == 2


def test_a_demonstration_is_the_agents_own_turns_with_ids_of_its_own() -> None:
    one, other = demonstration(sampled("a", 1)), demonstration(sampled("b", 1))

    assert [message.role for message in one.messages] == ["assistant", "tool", "assistant"]
    assert one.prompt == "do a"
    call = one.messages[0].tool_calls[0]
    assert one.messages[1].tool_call_id == call.id
    assert call.id != other.messages[0].tool_calls[0].id


async def test_a_trajectory_that_ends_in_the_middle_of_a_call_is_no_example() -> None:
    assert shown(await propose(situation(sampled("a", 1.0, last=False)))) == []


async def test_failed_episodes_are_never_shown() -> None:
    failed = replace(sampled("a", 1.0), score=None)

    assert shown(await propose(situation(failed))) == []


def test_less_than_one_a_step_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        DemonstrationOptimizer(BestOfK(), per_step=0)
