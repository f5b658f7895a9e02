"""The optimizer of instructions: what it asks, what it takes, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from funcforge.engine.errors import ConfigError, RequestRefused
from funcforge.engine.events import EditProposed
from funcforge.engine.messages import Finish, Message, Reply
from funcforge.engine.optimizer import FailedAttempt, Proposal
from funcforge.engine.optimizers.instructions import (
    InstructionOptimizer,
    InstructionOptimizerSettings,
)
from funcforge.engine.parameters import Parameters, SetInstructions

from tests.engine.optimizers.desk import Desk, episode, situation


def says(text: str, finish: Finish = "stop") -> Reply:
    return Reply(message=Message(role="assistant", content=text), finish=finish)


def better(text: str) -> Reply:
    return says(f"They forgot the token.\n<instructions>\n{text}\n</instructions>")


async def propose(desk: Desk, where: Any = None, **changes: Any) -> Proposal:
    optimizer = InstructionOptimizer(InstructionOptimizerSettings(model="test/model", **changes))
    at = where or situation(episode("t1"), episode("t2", 1.0))
    return await optimizer.propose(optimizer.init(), at, desk)


def refusals(desk: Desk) -> list[str]:
    return [event.refused for event in desk.events if isinstance(event, EditProposed)]


async def test_what_stands_between_the_marks_becomes_the_instructions() -> None:
    desk = Desk(better("Log in first."))

    proposal = await propose(desk)

    assert proposal.edits == (SetInstructions(instructions="Log in first."),)
    assert refusals(desk) == [""]


async def test_the_prompt_holds_scores_current_instructions_and_what_did_no_better() -> None:
    failed = tuple(
        FailedAttempt(parameters=Parameters(instructions=f"try {n}"), score=n / 10, step=n)
        for n in range(7)
    )
    where = situation(episode("t1"), episode("t2", 1.0), failures=failed, step=8)
    desk = Desk(better("Log in first."))

    await propose(desk, where)

    prompt = desk.asked[0].messages[1].content
    assert "tasks=2 solved=1" in prompt
    assert "score=0 id=t1" in prompt
    assert [f"try {n}" in prompt for n in range(7)] == [False] * 2 + [True] * 5
    assert "LIMIT characters=4000" in prompt


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (says("Just log in."), "no <instructions>"),
        (says(""), "no <instructions>"),
        (says("<instructions>Log in", "length"), "cut off"),
        (better("x" * 4_001), "at most 4000"),
    ],
)
async def test_a_reply_without_instructions_goes_back_with_the_reason(
    reply: Reply, told: str
) -> None:
    desk = Desk(reply, better("Log in first."))

    proposal = await propose(desk)

    assert len(proposal.edits) == 1
    assert told in desk.asked[1].messages[-1].content
    assert told in refusals(desk)[0]


async def test_a_model_that_never_keeps_to_the_form_ends_the_step_without_an_edit() -> None:
    desk = Desk(*[says("Wonderful.")] * 3)

    proposal = await propose(desk)

    assert proposal.edits == ()
    assert "3 replies in a row" in proposal.note


async def test_the_same_instructions_again_are_no_proposal() -> None:
    assert (await propose(Desk(better("")))).edits == ()


async def test_a_prompt_that_the_provider_finds_too_long_is_asked_with_less() -> None:
    too_long = RequestRefused("too long", kind="context_too_long", model="test/model")
    where = situation(*(episode(f"t{n}", answer=f"word {n} " * 600) for n in range(60)))
    desk = Desk(too_long, better("Be brief."))

    proposal = await propose(desk, where)

    assert len(proposal.edits) == 1
    first, second = (request.messages[1].content for request in desk.asked)
    assert len(second) < len(first)


async def test_a_filtered_prompt_ends_the_step() -> None:
    refused = RequestRefused("filtered", kind="content_filter", model="test/model")

    proposal = await propose(Desk(refused))

    assert proposal.edits == ()
    assert "refused" in proposal.note


async def test_a_window_too_small_for_the_table_is_refused_with_what_to_change() -> None:
    many = situation(*(episode(f"task with a long name {n}") for n in range(200)))

    with pytest.raises(ConfigError, match="batch_size"):
        await propose(Desk(context_tokens=1_500), many)


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"characters": 0}, {"prompt": " "}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        InstructionOptimizer(InstructionOptimizerSettings(model="test/model", **wrong))
