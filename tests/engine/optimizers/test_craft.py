"""The CRAFT baseline: abstract what was solved, verify it on its own problem, keep no twins."""

from __future__ import annotations

from typing import Any

import pytest
from funcforge.engine.optimizers.craft import CraftOptimizer, agrees
from funcforge.engine.optimizers.functions import FunctionOptimizerSettings
from funcforge.engine.parameters import AddFunction

from tests.engine.optimizers.desk import Desk, add, calls, episode, says, situation, source

SETTINGS = FunctionOptimizerSettings(model="test/optimizer", actions_per_step=10)
SOLVED = episode("t1", 1.0, prompt="What comes after 3?", answer="4")
UNSOLVED = episode("t2", 0.0, prompt="What comes after 5?", answer="7")


async def propose(desk: Desk, *episodes: Any) -> list[str]:
    optimizer = CraftOptimizer(SETTINGS)
    found = await optimizer.propose(optimizer.init(), situation(*episodes), desk)
    assert all(isinstance(edit, AddFunction) for edit in found.edits)
    return [edit.function.name for edit in found.edits if isinstance(edit, AddFunction)]


async def test_a_solved_task_becomes_a_tool_that_is_verified_on_it() -> None:
    desk = Desk(calls(add("after")), calls(("after", {"x": 3})))

    assert await propose(desk, SOLVED, UNSOLVED) == ["after"]

    assert desk.checked == ["after"]
    assert desk.called == [("after", {"x": 3})]
    assert [tool.name for tool in desk.asked[0].tools] == ["add_function"]
    assert "What comes after 3?" in desk.asked[0].messages[1].content
    kept = desk.edits[0].edit
    assert isinstance(kept, AddFunction)
    assert kept.function.description == "Does after.\nMade for: What comes after 3?"


async def test_a_tool_that_fails_on_its_own_problem_goes_back_with_the_reason() -> None:
    wrong = add("after", source("after", "return x + 2"))
    desk = Desk(calls(wrong), calls(("after", {"x": 3})), calls(add("after")),
                calls(("after", {"x": 3})))  # fmt: skip

    assert await propose(desk, SOLVED) == ["after"]

    assert "it gave 5, but the answer is 4" in desk.refusals[0]
    assert desk.asked[2].messages[-1].content == f"Refused: {desk.refusals[0]}"


async def test_after_so_many_tries_a_task_gets_no_tool() -> None:
    desk = Desk(says("I would rather not."), says("No."), says("No."))

    assert await propose(desk, SOLVED) == []

    assert len(desk.asked) == SETTINGS.tries
    assert "holds no tool call" in desk.refusals[0]


async def test_of_two_tools_of_a_name_the_more_comprehensive_is_kept() -> None:
    again = episode("t3", 1.0, prompt="What comes after 8?", answer="9")
    longer = add("after", "def after(x):\n    result = x + 1\n    return result\n")
    desk = Desk(calls(add("after")), calls(("after", {"x": 3})), calls(longer),
                calls(("after", {"x": 8})))  # fmt: skip

    optimizer = CraftOptimizer(SETTINGS)
    found = await optimizer.propose(optimizer.init(), situation(SOLVED, again), desk)

    (edit,) = found.edits
    assert isinstance(edit, AddFunction)
    assert "result = x + 1" in edit.function.code
    assert found.state == {"tasks": ["t1", "t3"]}


async def test_a_task_is_looked_at_once() -> None:
    desk = Desk()
    optimizer = CraftOptimizer(SETTINGS)

    found = await optimizer.propose({"tasks": ["t1"]}, situation(SOLVED), desk)

    assert (found.edits, desk.asked) == ((), [])


@pytest.mark.parametrize(
    ("value", "answer", "same"),
    [
        (4, "4", True),
        (4.0, "4", True),
        ("4", "$4$", True),
        (0.5, "\\frac{1}{2}", True),
        ("1/2", "0.5", True),
        (1234, "1,234", True),
        ([1, 2], "[1, 2]", True),
        ("Blue", "\\text{blue}", True),
        (4, "5", False),
        (None, "4", False),
        ("1/0", "4", False),
        (True, "1", False),
        ("9" * 200, "4", False),
    ],
)
def test_a_value_is_the_answer_as_number_or_as_text(value: Any, answer: str, same: bool) -> None:
    assert agrees(value, answer) is same
