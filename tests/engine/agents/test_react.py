from __future__ import annotations

from funcforge.engine.agents.react import ReactAgent

from tests.engine.agents.scripted import ANSWERED, TASK, ScriptedWorkspace, boxed, say


async def test_no_tools_are_offered_natively_but_described_in_the_prompt() -> None:
    workspace = ScriptedWorkspace(boxed("4"))

    await ReactAgent()(TASK, workspace)

    assert workspace.offered == [()]
    assert "add: Adds two numbers." in workspace.requests[0][0].content


async def test_a_call_in_the_text_is_made_and_observed() -> None:
    workspace = ScriptedWorkspace(say('Action: add\nAction Input: {"a": 1}'), boxed("4"))

    assert await ReactAgent()(TASK, workspace) == ANSWERED
    assert workspace.calls == [("add", '{"a": 1}')]
    assert workspace.told == 'Observation: add returned:\nadd:{"a": 1}'


async def test_a_call_of_an_unknown_function_is_answered() -> None:
    workspace = ScriptedWorkspace(say("Action: gone\nAction Input: {}"), boxed("4"))

    assert await ReactAgent()(TASK, workspace) == ANSWERED
    assert "no tool 'gone'" in workspace.told


async def test_an_invented_observation_is_no_answer() -> None:
    invented = say("Action: add\nAction Input: {}\nObservation: 5\nSo \\boxed{5}")
    workspace = ScriptedWorkspace(invented, boxed("4"))

    assert await ReactAgent()(TASK, workspace) == ANSWERED
