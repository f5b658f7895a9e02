"""What every agent keeps to, a person's own callable among them."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from funcforge.engine.agent import Agent, Workspace
from funcforge.engine.agents.creator import CreatorAgent
from funcforge.engine.agents.react import ReactAgent
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.errors import BudgetExhausted, ModelConfigError, TransientModelError
from funcforge.engine.messages import Message, Reply
from funcforge.engine.ports import AgentLimits, Answer
from funcforge.engine.tasks import Task

from tests.engine.agents.scripted import TASK, ScriptedWorkspace, boxed, say

ENDS = {"answered", "turns", "tokens", "no_answer", "repetition"}


def own() -> Agent:
    """The smallest agent: one question, the whole reply is the answer."""

    async def agent(task: Task, workspace: Workspace) -> Answer:
        reply = await workspace.complete([Message(role="user", content=task.prompt)])
        return Answer(text=reply.message.content or None)

    return agent


@pytest.fixture(params=[ToolCallingAgent, ReactAgent, CreatorAgent, own])
def agent(request: pytest.FixtureRequest) -> Agent:
    """Each agent."""
    make: Callable[[], Agent] = request.param
    return make()


NONSENSE = [
    say(""),
    say("TERMINATE"),
    say("\\boxed{"),
    say("```python"),
    say("```python\n" + "[" * 10_000 + "\n```"),
    say("Action: \nAction Input: {"),
    say("", ("", "")),
    say("", ("no_such_tool", "not json")),
    say("", *[("add", "{}")] * 50),
    say("\ud800 lone"),
    say("x" * 200_000),
    say('<tool_call>{"name": 3, "arguments": []}</tool_call>'),
]


@pytest.mark.parametrize("reply", NONSENSE)
async def test_whatever_the_model_writes_there_is_an_answer_within_the_turns(
    agent: Agent, reply: Reply
) -> None:
    workspace = ScriptedWorkspace(reply, limits=AgentLimits(turns=4))

    with anyio.fail_after(20):
        answer = await agent(TASK, workspace)

    assert answer.end in ENDS
    assert answer.text is None or answer.text.strip()
    assert len(workspace.requests) <= 4


@pytest.mark.parametrize(
    "error",
    [
        TransientModelError("down", kind="overloaded"),
        ModelConfigError("no key", kind="auth"),
        BudgetExhausted("enough", cap="calls", limit=1),
    ],
)
async def test_failed_systems_are_not_answers(agent: Agent, error: Exception) -> None:
    with pytest.raises(type(error)):
        await agent(TASK, ScriptedWorkspace(error))


async def test_episodes_at_once_do_not_see_each_other(agent: Agent) -> None:
    answers: dict[int, Answer] = {}

    async def solve(number: int) -> None:
        workspace = ScriptedWorkspace(boxed(str(number)))
        answers[number] = await agent(TASK, workspace)

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(solve, number)

    assert all(str(number) in (answer.text or "") for number, answer in answers.items())


async def test_a_cancelled_episode_ends(agent: Agent) -> None:
    class Waiting(ScriptedWorkspace):
        async def complete(self, messages: object, **options: object) -> Reply:  # type: ignore[override]
            await anyio.sleep_forever()
            raise AssertionError

    with anyio.move_on_after(0.05) as scope:
        await agent(TASK, Waiting(say("")))

    assert scope.cancelled_caught
