"""`embedded/apprentice` behind the `Model` protocol, as any other model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from funcforge.adapters.models.apprentice import reply
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.engine.errors import ModelConfigError
from funcforge.engine.messages import Message, Request, Tool, ToolCall
from funcforge.engine.optimizers.actions import action_tools

from tests.adapters.models.apprentice.problems import problems
from tests.adapters.models.apprentice.school import Bench, step

TOOL = Tool(
    name="double",
    description="Doubles.\nUse it for questions with these words:\n- twice, apples",
    arguments={
        "type": "object",
        "properties": {"n": {"type": "number", "description": 'the 1st number in "_ apples"'}},
        "required": ["n"],
    },
)
ASKED = Request(
    model="embedded/apprentice",
    messages=(
        Message(role="system", content="Answer in \\boxed{}."),
        Message(role="user", content="What is twice 21 apples?"),
    ),
    tools=(TOOL,),
)


@pytest.fixture
async def model() -> Any:
    async with LiteLLMModel() as model:
        yield model


async def test_a_tool_call_and_its_result_go_through_unchanged(model: LiteLLMModel) -> None:
    first = await model.complete(ASKED)
    result = Message(role="tool", content="42", tool_call_id=first.message.tool_calls[0].id)
    second = Request(
        model=ASKED.model,
        messages=(*ASKED.messages, first.message, result),
        tools=ASKED.tools,
    )
    last = await model.complete(second)

    assert first.message == reply(ASKED).message
    assert first.finish == "tool_calls"
    assert json.loads(first.message.tool_calls[0].arguments) == {"n": 21}
    assert last.message.content == "The answer is \\boxed{42}."
    assert last.finish == "stop"


async def test_usage_is_the_apprentices_own_count_and_free(model: LiteLLMModel) -> None:
    answered = await model.complete(ASKED)

    assert answered.usage == reply(ASKED).usage
    assert answered.usage.prompt_tokens > 0
    assert answered.usage.cost_pusd == 0


async def test_a_long_optimizer_prompt_goes_through_unchanged(model: LiteLLMModel) -> None:
    bench = Bench()
    await step(problems("pay", 10), bench=bench)

    answered = await model.complete(bench.asked[0])

    assert answered.message == reply(bench.asked[0]).message
    assert answered.message.tool_calls[0].name == "add_function"
    assert bench.asked[0].tools == action_tools()


async def test_another_embedded_model_does_not_exist(model: LiteLLMModel) -> None:
    with pytest.raises(ModelConfigError, match=r"there are embedded/apprentice, .*embedded/critic"):
        await model.complete(Request(model="embedded/master", messages=ASKED.messages))


async def test_refused_calls_in_the_dialogue_survive_the_wire(model: LiteLLMModel) -> None:
    call = ToolCall(id="c1", name="add_function", arguments="not json")
    request = Request(
        model=ASKED.model,
        messages=(
            Message(role="user", content="fence: [x]\n[x] LIST_B"),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="refused", tool_call_id="c1"),
        ),
        tools=action_tools(),
    )

    answered = await model.complete(request)

    assert answered.message.tool_calls[0].name == "terminate"
