"""The agent role."""

from __future__ import annotations

import json

import pytest
from funcforge.adapters.models.apprentice import reply
from funcforge.engine.messages import Message, Request, Tool

QUESTION = "A train covers 240 km in 3 hours. The driver is 45. What is its average speed?"
SPEED = Tool(
    name="speed",
    description="Speed.\nUse it for questions with these words:\n- average, covers, hours, km",
    arguments={
        "type": "object",
        "properties": {
            "km": {"type": "number", "description": 'the 1st number in "_ km"'},
            "hours": {"type": "number", "description": 'the 1st number in "_ hours"'},
        },
        "required": ["km", "hours"],
    },
)
PYTHON = Tool(
    name="python",
    description="Run Python code and see what it prints",
    arguments={"type": "object", "properties": {"code": {"type": "string"}}},
)


def ask(*messages: Message, tools: tuple[Tool, ...] = (SPEED, PYTHON)) -> Message:
    return reply(Request(model="embedded/apprentice", messages=messages, tools=tools)).message


def system(text: str = "Put the answer in \\boxed{}.") -> Message:
    return Message(role="system", content=text)


def user(text: str = QUESTION) -> Message:
    return Message(role="user", content=text)


def test_a_tool_that_fits_is_called_with_arguments_read_out_of_the_text() -> None:
    said = ask(system(), user())

    (call,) = said.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("speed", {"km": 240, "hours": 3})


def test_the_tool_with_more_of_the_questions_words_wins() -> None:
    close = Tool(
        name="closer",
        description=SPEED.description + ", speed, train",
        arguments=SPEED.arguments,
    )

    assert ask(system(), user(), tools=(SPEED, close)).tool_calls[0].name == "closer"


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Put it in \\boxed{}.", "The answer is \\boxed{80}."),
        ("End with a line of its own: #### answer", "#### 80"),
        ("Write it alone on the last line.", "80"),
    ],
)
def test_the_tools_result_is_the_answer_in_the_format_asked_for(prompt: str, answer: str) -> None:
    first = ask(system(prompt), user())
    result = Message(role="tool", content="80.0", tool_call_id=first.tool_calls[0].id)

    assert ask(system(prompt), user(), first, result).content == answer


def test_without_a_fitting_tool_it_guesses_a_number_of_the_text_and_always_the_same() -> None:
    said = [ask(system(), user(), tools=(PYTHON,)) for _ in range(3)]

    assert said[0] == said[1] == said[2]
    assert said[0].tool_calls == ()
    assert said[0].content in {f"The answer is \\boxed{{{n}}}." for n in (240, 3, 45)}


def test_it_solves_nothing_by_itself() -> None:
    questions = [f"What is {n} plus {n + 7}?" for n in range(100, 200)]

    right = [str(2 * n + 7) in ask(system(), user(q)).content for n, q in enumerate(questions, 100)]

    assert sum(right) == 0


def test_a_tool_that_fails_is_not_called_again() -> None:
    first = ask(system(), user())
    error = Message(role="tool", content="ValueError: no", tool_call_id=first.tool_calls[0].id)

    said = ask(system(), user(), first, error)

    assert said.tool_calls == ()
    assert said.content.startswith("The answer is ")


def test_an_argument_that_is_not_in_the_text_means_that_the_tool_does_not_fit() -> None:
    said = ask(system(), user("How many km covers the average bus in some hours, say 5?"))

    assert said.tool_calls == ()


def test_a_tool_in_plain_words_is_used_too() -> None:
    tool = Tool(
        name="speed",
        description="average speed of a train",
        arguments={
            "type": "object",
            "properties": {"km": {"type": "number"}, "hours": {"type": "number"}},
        },
    )

    (call,) = ask(system(), user(), tools=(tool,)).tool_calls

    assert json.loads(call.arguments) == {"km": 240, "hours": 3}


def test_a_notice_of_the_agent_loop_is_not_taken_for_the_question() -> None:
    notice = user("Your message was empty. Go on with the task.")

    assert ask(system(), user(), notice).tool_calls[0].name == "speed"


@pytest.mark.parametrize(
    "tool",
    [
        Tool(name="t", description="", arguments={}),
        Tool(name="t", description="average speed", arguments={"properties": [1]}),
        Tool(name="t", description=SPEED.description, arguments={"properties": {"a": 3}}),
        Tool(name="t", description="Use it for questions with these words:", arguments={}),
    ],
)
def test_odd_tools_are_passed_over(tool: Tool) -> None:
    assert ask(system(), user(), tools=(tool,)).content.startswith("The answer is ")


@pytest.mark.parametrize("result", ["1e999", "nan", "", "[1, 2]", "\ud800"])
def test_a_result_that_is_no_number_is_no_answer(result: str) -> None:
    first = ask(system(), user())
    told = Message(role="tool", content=result, tool_call_id=first.tool_calls[0].id)

    assert ask(system(), user(), first, told).content[20:-2] in {"240", "3", "45"} | {
        "{240",
        "{3",
        "{45",
    }


def test_usage_is_counted_and_free() -> None:
    answer = reply(Request(model="embedded/apprentice", messages=(user("12345"),)))

    assert (answer.usage.calls, answer.usage.prompt_tokens, answer.usage.cost_pusd) == (1, 2, 0)
    assert answer.usage.completion_tokens == 2
