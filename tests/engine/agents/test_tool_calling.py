from __future__ import annotations

from funcforge.engine.agents.tool_calling import ToolCallingAgent

from tests.engine.agents.scripted import ANSWERED, TASK, ScriptedWorkspace, boxed, say


async def test_all_tools_are_offered() -> None:
    workspace = ScriptedWorkspace(boxed("4"))

    await ToolCallingAgent()(TASK, workspace)

    assert workspace.offered == [("add", "python")]


async def test_a_call_in_the_text_counts_if_it_names_a_tool() -> None:
    known = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    unknown = '<tool_call>{"name": "gone", "arguments": {"a": 1}}</tool_call>'
    workspace = ScriptedWorkspace(say(known + unknown), boxed("4"))

    assert await ToolCallingAgent()(TASK, workspace) == ANSWERED
    assert workspace.calls == [("add", '{"a": 1}')]


async def test_an_answer_that_looks_like_a_call_of_nothing_is_an_answer() -> None:
    workspace = ScriptedWorkspace(say('\\boxed{4}\n```json\n{"name": "x", "arguments": 1}\n```'))

    assert await ToolCallingAgent()(TASK, workspace) == ANSWERED
