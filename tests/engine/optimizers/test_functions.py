"""Algorithm 1: one action per call on the functions as edited so far."""

from __future__ import annotations

import json
from typing import Any

import pytest
from funcforge.engine.errors import ConfigError, RequestRefused
from funcforge.engine.optimizer import Proposal, Situation
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.parameters import apply

from tests.engine.optimizers.desk import (
    TERMINATE,
    Desk,
    add,
    calls,
    episode,
    function,
    remove,
    revise,
    says,
    situation,
    source,
)


async def propose(
    desk: Desk, at: Situation | None = None, **settings: Any
) -> tuple[Proposal, tuple[str, ...]]:
    """Run one step. Return the proposal and the names of the functions that it leads to."""
    at = at or situation(episode("t1"))
    optimizer = FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer", **settings))
    proposal = await optimizer.propose(optimizer.init(), at, desk)
    after = apply(proposal.edits, at.batch.parameters)
    return proposal, tuple(f.name for f in after.functions)


async def test_each_action_is_asked_for_on_the_functions_as_edited_so_far() -> None:
    desk = Desk(
        calls(add("one")), calls(revise("one", source("one", "return x + 2"))), calls(TERMINATE)
    )

    proposal, names = await propose(desk)

    assert names == ("one",)
    assert [type(edit).__name__ for edit in proposal.edits] == ["AddFunction", "ReviseFunction"]
    assert "LIST_B functions=0" in desk.prompt(0)
    assert "LIST_B functions=1" in desk.prompt(1)
    assert "return x + 1" in desk.prompt(1)
    assert "return x + 2" in desk.prompt(2)
    assert "next=3 limit=3" in desk.prompt(2)


async def test_what_stays_the_same_in_a_step_stands_first_and_is_marked() -> None:
    desk = Desk(calls(add("one")), calls(add("two")), calls(TERMINATE))

    await propose(desk)

    users = [request.messages[1] for request in desk.asked]
    assert len({user.content[: user.stable] for user in users}) == 1
    assert "HISTORY" in users[0].content[: users[0].stable]
    assert users[0].content[users[0].stable :] != users[1].content[users[1].stable :]
    assert "LIST_B" in users[0].content[users[0].stable :]


async def test_terminate_ends_the_step() -> None:
    desk = Desk(calls(TERMINATE), calls(add("never")))

    proposal, _ = await propose(desk)

    assert proposal.edits == ()
    assert len(desk.asked) == 1


@pytest.mark.parametrize("text", ["TERMINATE", "Nothing more helps.\n**TERMINATE**", "terminate."])
async def test_terminate_as_plain_text_ends_the_step(text: str) -> None:
    desk = Desk(says(text))

    proposal, _ = await propose(desk)

    assert proposal.edits == ()
    assert desk.edits == []


async def test_actions_after_terminate_in_the_same_reply_are_not_applied() -> None:
    desk = Desk(calls(add("one"), TERMINATE, add("two")))

    _, names = await propose(desk)

    assert names == ("one",)
    assert "after terminate" in desk.refusals[0]


async def test_several_calls_in_one_reply_count_as_several_actions_within_the_limit() -> None:
    desk = Desk(calls(add("one"), add("two"), add("three"), add("four"), add("five")))

    _, names = await propose(desk)

    assert names == ("one", "three", "two")
    assert len(desk.asked) == 1
    assert [bool(event.refused) for event in desk.edits] == [False, False, False, True, True]
    assert [event.action for event in desk.edits] == [0, 1, 2, 3, 4]


async def test_at_most_the_limit_of_actions_is_asked_for() -> None:
    desk = Desk(calls(add("one")), calls(add("two")), calls(add("three")), calls(add("four")))

    _, names = await propose(desk, actions_per_step=2)

    assert names == ("one", "two")
    assert len(desk.asked) == 2


async def test_an_invalid_action_goes_back_with_its_reason_and_costs_no_action() -> None:
    desk = Desk(calls(remove("absent")), calls(add("one")), calls(TERMINATE))

    _, names = await propose(desk, actions_per_step=2)

    assert names == ("one",)
    assert desk.asked[1].messages[:2] == desk.asked[0].messages[:2]
    said, told = desk.asked[1].messages[2:]
    assert said.tool_calls[0].name == "remove_function"
    assert told.role == "tool"
    assert told.tool_call_id == said.tool_calls[0].id
    assert "There is no function named 'absent' to remove" in told.content
    # once an action was applied, what was refused before is forgotten
    assert len(desk.asked[2].messages) == 2


async def test_a_step_ends_after_too_many_refused_replies_in_a_row() -> None:
    desk = Desk(*[calls(remove("absent")) for _ in range(9)])

    proposal, _ = await propose(desk, tries=3)

    assert proposal.edits == ()
    assert len(desk.asked) == 3
    assert "3 replies in a row" in proposal.note


async def test_what_was_applied_before_too_many_refusals_is_kept() -> None:
    desk = Desk(calls(add("one")), *[says("hm") for _ in range(3)])

    _, names = await propose(desk, tries=3)

    assert names == ("one",)


async def test_of_a_reply_half_valid_the_valid_half_is_applied_and_the_rest_explained() -> None:
    desk = Desk(calls(add("one"), remove("absent")), calls(TERMINATE))

    _, names = await propose(desk)

    assert names == ("one",)
    answers = [message.content for message in desk.asked[1].messages[3:]]
    assert answers[0] == "Applied."
    assert answers[1].startswith("Refused: There is no function named 'absent'")


async def test_prose_instead_of_a_call_is_told_so() -> None:
    desk = Desk(says("I would add a function."), calls(TERMINATE))

    await propose(desk)

    said, told = desk.asked[1].messages[2:]
    assert (said.role, said.content) == ("assistant", "I would add a function.")
    assert (told.role, "holds no tool call" in told.content) == ("user", True)
    assert desk.edits[0].edit is None


async def test_a_reply_cut_off_by_the_length_limit_is_never_applied() -> None:
    desk = Desk(calls(add("one"), finish="length"), calls(TERMINATE))

    proposal, _ = await propose(desk)

    assert proposal.edits == ()
    assert "cut off" in desk.refusals[0]
    assert "cut off" in desk.asked[1].messages[-1].content


async def test_a_call_whose_json_is_cut_off_is_never_completed() -> None:
    whole = json.dumps(add("one")[1])
    desk = Desk(calls(("add_function", whole[:-3])), calls(TERMINATE))

    proposal, _ = await propose(desk)

    assert proposal.edits == ()
    assert "no valid JSON" in desk.refusals[0]
    # what is sent back is JSON: some providers' translations parse it
    assert desk.asked[1].messages[2].tool_calls[0].arguments == "{}"


async def test_a_function_that_does_not_load_is_refused() -> None:
    desk = Desk(calls(add("one")), calls(TERMINATE))
    desk.broken.add("one")

    proposal, _ = await propose(desk)

    assert proposal.edits == ()
    assert "does not load" in desk.refusals[0]


async def test_nothing_is_run_before_the_static_checks_pass() -> None:
    desk = Desk(calls(add("one", "def two(x): pass")), calls(TERMINATE))

    await propose(desk)

    assert desk.checked == []
    assert desk.called == []


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (add("one", source("two")), "does not define one"),
        (add("one", "def one(x:"), "does not parse"),
        (add("class"), "keyword"),
        (add("print"), "hide Python's own print"),
        (add("python"), "cannot be changed"),
        (add("no name"), "no Python identifier"),
        (add("one", arguments={"type": "object", "properties": {"y": {"type": "integer"}}}), "y"),
        (add("one", arguments={"x": {"type": "decimal"}}), "'decimal' is no type"),
        (add("one", "import torch\n\n" + source("one")), "torch is not available"),
        (add("one", "x = 1\n" * 200_000), "characters; at most"),
        (add("known"), "A function named 'known' exists"),
        (revise("absent"), "no function named 'absent' to revise"),
        (revise("known"), "nothing would change"),
        (("rename_function", {"name": "known"}), "There is no action 'rename_function'"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_with_a_reason(
    action: tuple[str, Any], reason: str
) -> None:
    desk = Desk(calls(action), calls(TERMINATE))

    proposal, _ = await propose(desk, situation(episode("t1"), functions=[function("known")]))

    assert proposal.edits == ()
    assert reason in desk.refusals[0]
    assert reason in desk.asked[1].messages[-1].content


@pytest.mark.parametrize("word", ["name", "packages", "code", "description", "arguments"])
async def test_parameters_may_be_named_as_the_actions_own(word: str) -> None:
    arguments = {"type": "object", "properties": {word: {"type": "string"}}, "required": [word]}
    code = f"def one({word}):\n    return {word}\n"
    desk = Desk(calls(add("one", code, arguments=arguments)), calls(TERMINATE))

    proposal, names = await propose(desk)

    assert names == ("one",)
    assert desk.called == [("one", {word: "1"})]
    assert list(proposal.edits[0].function.arguments["properties"]) == [word]  # type: ignore[union-attr]


async def test_packages_are_checked_against_the_list_and_never_installed() -> None:
    desk = Desk(
        calls(add("one", "import numpy\n\n" + source("one"), packages="None")),
        calls(add("one", "import math\n\n" + source("one"), packages="math, sys, pip install x")),
        calls(TERMINATE),
    )

    proposal, _ = await propose(desk, packages=("sympy",))

    assert "numpy is not available. Available: sympy" in desk.refusals[0]
    assert proposal.edits[0].function.packages == ()  # type: ignore[union-attr]


async def test_without_progressive_update_all_actions_come_from_one_prompt() -> None:
    desk = Desk(calls(add("one"), add("two")), calls(add("three")))

    _, names = await propose(desk, progressive=False)

    assert names == ("one", "two")
    assert len(desk.asked) == 1
    assert "LIST_B" not in desk.prompt()
    assert "next=all limit=3" in desk.prompt()


async def test_a_prompt_that_is_too_long_is_sent_again_with_less() -> None:
    history = [episode(f"t{n}", prompt="long " * 2_000) for n in range(20)]
    desk = Desk(
        RequestRefused("too long", kind="context_too_long"),
        RequestRefused("too long", kind="context_too_long"),
        calls(TERMINATE),
    )

    await propose(desk, situation(*history))

    sizes = [len(request.messages[1].content) for request in desk.asked]
    assert sizes[0] > 1.7 * sizes[1] > 2.5 * sizes[2]
    assert len(desk.trimmed) == 1


async def test_history_list_b_and_what_is_sent_back_keep_the_models_window_together() -> None:
    history = [episode(f"t{n}", prompt="long " * 2_000) for n in range(20)]
    big = source("one", f"return '{'1' * 8_000}'")
    refused = remove("absent" + "x" * 3_000)
    script = [
        calls(add("one", big)),
        says("prose " * 2_000),
        calls(refused),
        says("prose " * 2_000),
    ]
    desk = Desk(*script, calls(TERMINATE), context_tokens=16_000)

    await propose(desk, situation(*history), tries=4, reply_tokens=2_000)

    assert len(desk.asked) == 5
    for request in desk.asked:
        # the bound counts a token a byte, the budget one in three
        assert request.token_bound() / 3 + request.max_tokens <= 16_000
    assert "1" * 8_000 in desk.prompt()
    assert len(desk.trimmed) == 1


async def test_a_small_window_leaves_room_for_the_prompt() -> None:
    desk = Desk(calls(TERMINATE), context_tokens=8_000)

    await propose(desk, reply_tokens=8_000)

    assert desk.asked[0].max_tokens == 2_000


async def test_a_prompt_that_the_provider_filters_ends_the_step_without_an_error() -> None:
    desk = Desk(calls(add("one")), RequestRefused("no", kind="content_filter"))

    proposal, names = await propose(desk)

    assert names == ("one",)
    assert "refused the prompt" in proposal.note


async def test_the_part_before_list_b_is_the_same_for_all_actions_of_a_step() -> None:
    desk = Desk(calls(add("one")), calls(remove("absent")), calls(add("two")), calls(TERMINATE))

    await propose(desk, situation(*[episode(f"t{n}") for n in range(20)]))

    before_list_b = {desk.prompt(at).split(" LIST_B ")[0] for at in range(4)}
    assert len(before_list_b) == 1
    assert len({request.messages[0] for request in desk.asked}) == 1
    assert len({tuple(tool.name for tool in request.tools) for request in desk.asked}) == 1


async def test_equal_situations_are_asked_about_in_equal_words() -> None:
    prompts = set()
    for _ in range(2):
        desk = Desk(calls(TERMINATE))
        await propose(desk, situation(episode("t2"), episode("t1", 1.0), functions=[function("f")]))
        prompts.add(desk.asked[0].hash)

    assert len(prompts) == 1


async def test_a_prompt_of_your_own_replaces_the_instructions() -> None:
    desk = Desk(calls(TERMINATE))

    await propose(desk, prompt="Edit the functions.")

    assert desk.asked[0].messages[0].content == "Edit the functions."


async def test_a_hundred_calls_in_one_reply_are_not_all_read() -> None:
    desk = Desk(calls(*[remove(f"f{n}") for n in range(100)]), calls(TERMINATE))

    await propose(desk)

    assert len(desk.edits) == 17
    assert "84 more calls were not read" in desk.refusals[-1]


@pytest.mark.parametrize("changes", [{"tries": 0}, {"actions_per_step": 0}, {"prompt": "  "}])
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer", **changes))
