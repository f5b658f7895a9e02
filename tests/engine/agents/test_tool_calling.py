from __future__ import annotations

import pytest
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.messages import Tool

from tests.engine.agents.scripted import (
    ADD,
    ANSWERED,
    PYTHON,
    TASK,
    ScriptedWorkspace,
    boxed,
    say,
)


async def test_all_tools_are_offered() -> None:
    workspace = ScriptedWorkspace(boxed("4"))

    await ToolCallingAgent()(TASK, workspace)

    assert workspace.offered == [("add", "python")]


@pytest.mark.parametrize(
    ("tools", "told", "not_told"),
    [
        ((), [], ["tool", "Python", "invent"]),
        ((ADD,), ["Use the tools", "when a call fails", "invent"], ["Python"]),
        ((PYTHON,), ["Use the tools", "`python` tool", "when a call fails", "invent"], []),
    ],
)
async def test_a_model_is_told_how_to_act_where_it_has_something_to_act_with(
    tools: tuple[Tool, ...], told: list[str], not_told: list[str]
) -> None:
    workspace = ScriptedWorkspace(boxed("4"), tools=tools)

    await ToolCallingAgent(DialogueSettings(answer="boxed"))(TASK, workspace)

    system = workspace.requests[0][0]
    assert system.content.startswith("Solve the task step by step.\n\n")
    assert "put it in \\boxed{}" in system.content
    assert system.stable == len(system.content)
    assert all(text in system.content for text in told)
    assert not any(text in system.content for text in not_told)


async def test_a_prompt_of_ones_own_may_leave_that_out() -> None:
    prompt = "Do it.\n{{answer_format}}\n{{instructions}}"
    workspace = ScriptedWorkspace(boxed("4"))

    await ToolCallingAgent(DialogueSettings(prompt=prompt, answer="whole"))(TASK, workspace)

    assert workspace.requests[0][0].content == (
        "Do it.\nYour last message, the one without code or calls, is taken as the answer as it "
        "stands."
    )


async def test_a_call_in_the_text_counts_if_it_names_a_tool() -> None:
    known = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    unknown = '<tool_call>{"name": "gone", "arguments": {"a": 1}}</tool_call>'
    workspace = ScriptedWorkspace(say(known + unknown), boxed("4"))

    assert await ToolCallingAgent()(TASK, workspace) == ANSWERED
    assert workspace.calls == [("add", '{"a": 1}')]


async def test_an_answer_that_looks_like_a_call_of_nothing_is_an_answer() -> None:
    workspace = ScriptedWorkspace(say('\\boxed{4}\n```json\n{"name": "x", "arguments": 1}\n```'))

    assert await ToolCallingAgent()(TASK, workspace) == ANSWERED
