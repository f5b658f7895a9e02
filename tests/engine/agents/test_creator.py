"""The CREATOR baseline: create, decide, execute, repair at most three times, answer."""

from __future__ import annotations

import json

import pytest
from funcforge.engine.agents.creator import CreatorAgent
from funcforge.engine.episode import FunctionCall
from funcforge.engine.errors import ConfigError
from funcforge.engine.ports import AgentLimits, Answer

from tests.engine.agents.scripted import ADD, TASK, ScriptedWorkspace, boxed, say

TOOL = say("```python\ndef add(a, b):\n    return a + b\n```")
USE = say("```python\nprint(add(2, 2))\n```")


class Failing(ScriptedWorkspace):
    """The first blocks raise."""

    def __init__(self, *script: object, failures: int) -> None:
        super().__init__(*script, limits=AgentLimits(turns=12))  # type: ignore[arg-type]
        self.failures = failures

    async def call_function(self, name: str, arguments: str) -> FunctionCall:
        call = await super().call_function(name, arguments)
        if len(self.calls) > self.failures:
            return call
        return FunctionCall(
            name=name, arguments=arguments, outcome="exception", result="Error: NameError: add"
        )


async def test_the_tool_and_its_call_run_together_and_the_output_is_answered_on() -> None:
    workspace = ScriptedWorkspace(TOOL, USE, boxed("4"))

    answer = await CreatorAgent()(TASK, workspace)

    assert answer == Answer(text="4")
    assert [json.loads(arguments)["code"] for _, arguments in workspace.calls] == [
        "def add(a, b):\n    return a + b\n\nprint(add(2, 2))"
    ]
    assert TASK.prompt in workspace.requests[0][-1].content
    assert "Output:" in workspace.told
    assert workspace.offered == [(), (), ()]  # nothing that was learned


@pytest.mark.parametrize(("failures", "runs", "turns"), [(1, 2, 4), (3, 4, 6), (9, 4, 6)])
async def test_a_failure_is_repaired_at_most_three_times(
    failures: int, runs: int, turns: int
) -> None:
    workspace = Failing(TOOL, USE, *[say("```python\n4\n```")] * min(failures, 3), boxed("4"),
                        failures=failures)  # fmt: skip

    answer = await CreatorAgent()(TASK, workspace)

    assert answer == Answer(text="4")
    assert (len(workspace.calls), len(workspace.requests)) == (runs, turns)
    assert "NameError" in workspace.requests[2][-1].content


async def test_a_stage_without_code_is_told_so() -> None:
    workspace = ScriptedWorkspace(TOOL, say("Let me think."), USE, boxed("4"))

    answer = await CreatorAgent()(TASK, workspace)

    assert answer == Answer(text="4")
    assert "holds no Python block" in workspace.requests[2][-1].content


async def test_an_answer_in_the_place_of_a_call_is_taken() -> None:
    workspace = ScriptedWorkspace(TOOL, boxed("4"))

    assert await CreatorAgent()(TASK, workspace) == Answer(text="4")
    assert workspace.calls == []


async def test_the_turns_of_the_episode_bound_it() -> None:
    workspace = ScriptedWorkspace(TOOL, USE, limits=AgentLimits(turns=2))

    assert await CreatorAgent()(TASK, workspace) == Answer(text=None, end="turns")
    assert len(workspace.requests) == 2


async def test_without_an_interpreter_there_is_no_creator() -> None:
    with pytest.raises(ConfigError, match="needs the interpreter"):
        await CreatorAgent()(TASK, ScriptedWorkspace(TOOL, tools=[ADD]))
