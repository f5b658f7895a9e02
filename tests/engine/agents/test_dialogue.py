"""What both agents do alike, whatever their models write."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from funcforge.engine.agent import Agent
from funcforge.engine.agents.react import ReactAgent
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.episode import FunctionCall
from funcforge.engine.errors import (
    BudgetExhausted,
    RequestRefused,
    SandboxError,
    TransientModelError,
)
from funcforge.engine.messages import Message, ToolCall
from funcforge.engine.parameters import Demonstration, Parameters
from funcforge.engine.ports import AgentLimits, Answer

from tests.engine.agents.scripted import (
    ADD,
    ANSWERED,
    PYTHON,
    TASK,
    ScriptedWorkspace,
    boxed,
    say,
)

MakeAgent = Callable[..., Agent]
CODE = "```python\n2 + 2\n```"


@pytest.fixture(params=[ToolCallingAgent, ReactAgent])
def make(request: pytest.FixtureRequest) -> MakeAgent:
    """Each of the two agents."""
    agent: MakeAgent = request.param
    return agent


async def test_an_answer_without_action_ends_the_episode(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED
    assert len(workspace.requests) == 1


async def test_code_runs_and_its_output_is_shown(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(CODE), boxed("4"), result=lambda name, arguments: "4")

    assert await make()(TASK, workspace) == ANSWERED
    assert workspace.calls == [("python", '{"code": "2 + 2"}')]
    assert workspace.told == "Output:\n4"


async def test_an_answer_beside_code_waits_for_the_output(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(f"\\boxed{{5}}\n{CODE}"), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED


async def test_an_answer_beside_code_counts_when_the_turns_run_out(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(
        say(f"\\boxed{{5}}\n{CODE}"), say("```python\n3\n```"), limits=AgentLimits(turns=2)
    )

    assert await make()(TASK, workspace) == Answer(text="5", end="turns")


async def test_several_blocks_are_run_in_order_and_told_apart(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(f"{CODE}\nand\n```python\n3\n```"), boxed("4"))

    await make()(TASK, workspace)

    assert [arguments for _, arguments in workspace.calls] == ['{"code": "2 + 2"}', '{"code": "3"}']
    assert "Output of code block 1:" in workspace.told
    assert "Output of code block 2:" in workspace.told


async def test_native_calls_and_code_in_one_reply_are_all_done(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(CODE, ("add", '{"a": 1}')), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED

    assert sorted(name for name, _ in workspace.calls) == ["add", "python"]
    assert [m.role for m in workspace.requests[1][-3:]] == ["assistant", "tool", "user"]


async def test_a_call_of_a_function_that_is_gone_is_answered_and_the_talk_goes_on(
    make: MakeAgent,
) -> None:
    workspace = ScriptedWorkspace(say("", ("removed_function", "{}")), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED
    assert "no tool 'removed_function'" in workspace.told


async def test_parallel_calls_run_at_once_and_their_results_keep_the_order_of_the_calls(
    make: MakeAgent,
) -> None:
    class SlowFirst(ScriptedWorkspace):
        second_began = anyio.Event()

        async def call_function(self, name: str, arguments: str) -> FunctionCall:
            if arguments == "1":
                await self.second_began.wait()  # a sequential agent would wait for ever
            else:
                self.second_began.set()
            return await super().call_function(name, arguments)

    workspace = SlowFirst(say("", ("add", "1"), ("add", "2")), boxed("4"))

    with anyio.fail_after(5):
        await make()(TASK, workspace)

    results = [m for m in workspace.requests[1] if m.role == "tool"]
    assert [(m.tool_call_id, m.content) for m in results] == [("id0", "add:1"), ("id1", "add:2")]


async def test_calls_with_missing_or_equal_ids_get_their_own(make: MakeAgent) -> None:
    calls = tuple(ToolCall(id=name, name="add", arguments="{}") for name in ("", "x", "x"))
    reply = say()
    doubled = reply.__class__(
        message=Message(role="assistant", tool_calls=calls), finish="tool_calls"
    )
    workspace = ScriptedWorkspace(doubled, boxed("4"))

    await make()(TASK, workspace)

    sent = workspace.requests[1]
    ids = [m.tool_call_id for m in sent if m.role == "tool"]
    assert len(set(ids)) == 3
    assert [call.id for m in sent for call in m.tool_calls] == ids


async def test_terminate_is_no_part_of_the_answer(make: MakeAgent) -> None:
    agent = make(DialogueSettings(answer="whole"))

    assert await agent(TASK, ScriptedWorkspace(say("It is 4.\n\nTERMINATE"))) == Answer(
        text="It is 4."
    )


async def test_terminate_alone_ends_without_an_answer_or_with_the_one_given_before(
    make: MakeAgent,
) -> None:
    bare = ScriptedWorkspace(say("TERMINATE"))
    after = ScriptedWorkspace(say(f"\\boxed{{4}}\n{CODE}"), say("TERMINATE."))

    assert await make()(TASK, bare) == Answer(text=None, end="no_answer")
    assert await make()(TASK, after) == ANSWERED


async def test_an_empty_reply_is_answered_with_a_word_and_never_sent_back_empty(
    make: MakeAgent,
) -> None:
    workspace = ScriptedWorkspace(say("  "), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED
    assert "was empty" in workspace.told
    assert all(m.content or m.tool_calls for m in workspace.requests[1])


async def test_nothing_but_empty_replies_is_no_answer(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(""))

    assert await make()(TASK, workspace) == Answer(text=None, end="no_answer")
    assert len(workspace.requests) == workspace.limits.repetitions


async def test_the_same_reply_again_and_again_ends_as_repetition(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say("", ("add", "{}")), limits=AgentLimits(turns=50))

    assert await make()(TASK, workspace) == Answer(text=None, end="repetition")
    assert len(workspace.requests) == 3


async def test_a_step_with_the_same_result_as_before_is_pointed_out(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(CODE), say(CODE), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED
    assert "same step with the same result" in workspace.told


async def test_talk_without_answer_is_asked_to_go_on_and_how_to_answer(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say("Let me think."), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED
    assert "\\boxed{}" in workspace.told


async def test_the_turn_limit_is_kept(make: MakeAgent) -> None:
    script = [say(f"```python\n{n}\n```") for n in range(9)]
    workspace = ScriptedWorkspace(*script, limits=AgentLimits(turns=3))

    assert await make()(TASK, workspace) == Answer(text=None, end="turns")
    assert len(workspace.requests) == 3
    assert len(workspace.calls) == 2  # nobody would read what the last one returns


async def test_the_token_limit_is_kept(make: MakeAgent) -> None:
    script = [say(f"```python\n{n}\n```", tokens=60) for n in range(9)]
    workspace = ScriptedWorkspace(*script, limits=AgentLimits(turns=9, tokens=100))

    assert await make()(TASK, workspace) == Answer(text=None, end="tokens")
    assert len(workspace.requests) == 2


async def test_a_reply_cut_off_inside_code_is_not_run(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say("```python\nprint(1", finish="length"), boxed("4"))

    assert await make()(TASK, workspace) == ANSWERED
    assert workspace.calls == []
    assert "cut off" in workspace.told


async def test_a_conversation_that_outgrows_the_window_ends_as_a_task_outcome(
    make: MakeAgent,
) -> None:
    too_long = RequestRefused("too long", kind="context_too_long")
    workspace = ScriptedWorkspace(say(CODE), too_long)

    assert (await make()(TASK, workspace)).end == "tokens"


@pytest.mark.parametrize(
    "error",
    [
        RequestRefused("the very prompt is too long", kind="context_too_long"),
        RequestRefused("filtered", kind="content_filter"),
        TransientModelError("down", kind="overloaded"),
        BudgetExhausted("enough", cap="calls", limit=1),
    ],
)
async def test_failed_systems_pass_through(make: MakeAgent, error: Exception) -> None:
    with pytest.raises(type(error)):
        await make()(TASK, ScriptedWorkspace(error))


async def test_a_dead_sandbox_in_one_of_several_calls_is_raised_as_itself(make: MakeAgent) -> None:
    broken = say("", ("add", "{}"), ("broken_sandbox", "{}"), ("broken_sandbox", "{}"))

    with pytest.raises(SandboxError, match="died"):
        await make()(TASK, ScriptedWorkspace(broken))


async def test_without_an_interpreter_a_block_is_no_action(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(f"{CODE}\n\\boxed{{4}}"), tools=(ADD,))

    assert await make()(TASK, workspace) == ANSWERED
    assert workspace.calls == []


async def test_instructions_and_demonstrations_are_in_the_prompt(make: MakeAgent) -> None:
    shown = (
        Message(role="assistant", tool_calls=(ToolCall(id="d", name="add", arguments="{}"),)),
        Message(role="tool", content="3", tool_call_id="d"),
        Message(role="assistant", content="\\boxed{3}"),
    )
    parameters = Parameters(
        instructions="Mind the {{units}} of \\frac{1}{2}.",
        demonstrations=(Demonstration(task_id="x", prompt="What is 1 + 2?", messages=shown),),
    )
    workspace = ScriptedWorkspace(boxed("4"), parameters=parameters)

    await make()(TASK, workspace)

    sent = workspace.requests[0]
    assert "Mind the {{units}} of \\frac{1}{2}." in sent[0].content
    assert [m.content for m in sent if "What is" in m.content] == ["What is 1 + 2?", TASK.prompt]
    assert sent[-2].content == "\\boxed{3}"


@pytest.mark.parametrize("tools", [(ADD, PYTHON), ()])
async def test_no_call_is_sent_to_a_model_that_is_offered_no_tools(
    make: MakeAgent, tools: tuple[object, ...]
) -> None:
    shown = (
        Message(role="assistant", tool_calls=(ToolCall(id="d", name="add", arguments="{}"),)),
        Message(role="tool", content="3", tool_call_id="d"),
        Message(role="assistant", content="\\boxed{3}"),
    )
    parameters = Parameters(
        demonstrations=(Demonstration(task_id="x", prompt="p", messages=shown),)
    )
    workspace = ScriptedWorkspace(boxed("4"), parameters=parameters, tools=tools)  # type: ignore[arg-type]

    await make()(TASK, workspace)

    native = any(m.tool_calls for m in workspace.requests[0])
    assert native == bool(workspace.offered[0])


async def test_the_record_ends_with_what_was_said_last(make: MakeAgent) -> None:
    workspace = ScriptedWorkspace(say(CODE), boxed("4"))

    await make()(TASK, workspace)

    assert [m.role for m in workspace.recorded] == [
        "system", "user", "assistant", "user", "assistant"
    ]  # fmt: skip
