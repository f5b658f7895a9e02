"""The simulated API caller: by chance, but repeatably; better or worse by what examples show."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from funcforge.adapters.models.api_caller import reply
from funcforge.adapters.models.api_caller.moments import moments
from funcforge.engine.messages import Message, Request, Tool, ToolCall
from funcforge.engine.schemas import validate_arguments

TIME = {"type": "string", "description": "The time. Format: %Y-%m-%d %H:%M:%S"}
TEXT = {"type": "string", "description": "A text."}


def tool(name: str, **properties: Any) -> Tool:
    arguments = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name=name, description=name, arguments=arguments)


LOGIN = tool("GetUserToken", username=TEXT, password=TEXT)
ALARM = tool("AddAlarm", token=TEXT, time=TIME)
REMINDER = tool("AddReminder", token=TEXT, content=TEXT, time=TIME)
KNOWN = "API: [GetUserToken(username='ann', password='pw')] -> {'token': 'tok1'}"
PROMPT = f"Call.\n\nUser: Set an alarm on May 3rd at 8 AM.\nAI: Sure.\n{KNOWN}"
RIGHT = {"token": "tok1", "time": "2023-05-03 08:00:00"}


def request(prompt: str = PROMPT, *before: Message, seed: int = 0, **changes: Any) -> Request:
    messages = (
        Message(role="system", content="Do it."), *before, Message(role="user", content=prompt)
    )  # fmt: skip
    usual = Request(model="embedded/api-caller", messages=messages, tools=(LOGIN, ALARM), seed=seed)
    return replace(usual, **changes)


def example(
    name: str, text: str = "Set an alarm on July 1 at 9 PM.", **arguments: Any
) -> list[Message]:
    call = ToolCall(id="e", name=name, arguments=json.dumps(arguments))
    return [
        Message(role="user", content=f"Call.\n\nUser: {text}\n{KNOWN.replace('tok1', 'tok9')}"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="success", tool_call_id="e"),
        Message(role="assistant", content="Done."),
    ]


def call(made: Request) -> tuple[str, dict[str, Any]]:
    (wish,) = reply(made).message.tool_calls
    return wish.name, json.loads(wish.arguments)


def share(*before: Message, wanted: Any = ("AddAlarm", RIGHT), **changes: Any) -> float:
    """How often the wanted call is made, over 300 seeds."""
    made = [call(request(PROMPT, *before, seed=seed, **changes)) for seed in range(300)]
    return sum(one == wanted for one in made) / len(made)


def test_equal_requests_get_equal_replies_and_seeds_differ() -> None:
    assert reply(request(seed=5)) == reply(request(seed=5))
    assert len({json.dumps(call(request(seed=seed))) for seed in range(40)}) > 5


def test_at_temperature_zero_it_takes_the_likeliest() -> None:
    made = {json.dumps(call(request(seed=seed, temperature=0.0))) for seed in range(20)}

    assert [json.loads(one) for one in made] == [["AddAlarm", RIGHT]]


def test_it_is_imperfect_in_ways_that_models_are() -> None:
    seen = [call(request(seed=seed)) for seed in range(300)]

    names = Counter(name for name, _ in seen)
    times = Counter(values.get("time") for name, values in seen if name == "AddAlarm")
    assert 0.2 < share() < 0.6
    assert names["GetUserToken"] > 5
    assert {"2023-05-03", "May 3rd at 8 AM", "your_time", None} <= set(times)
    assert any("token" not in values for name, values in seen if name == "AddAlarm")


def test_examples_of_right_calls_help_by_the_conventions_that_they_show() -> None:
    good = example("AddAlarm", token="tok9", time="2023-07-01 21:00:00")

    assert share(*good) > share() + 0.2


def test_examples_of_wrong_calls_teach_the_wrong_conventions() -> None:
    bad = example("AddAlarm", token="tok9", time="July 1 at 9 PM")
    as_said = ("AddAlarm", {"token": "tok1", "time": "May 3rd at 8 AM"})

    assert share(*bad) < share() - 0.15
    assert share(*bad, wanted=as_said) > 0.4


def test_an_example_helps_by_what_it_has_in_common_with_the_task() -> None:
    same_kind = example("AddReminder", token="tok9", content="x", time="2023-07-01 21:00:00")
    other = example("Calculator", "What is 2 + 2?", formula="2 + 2")
    tools = (LOGIN, ALARM, REMINDER)

    plain = share(tools=tools)
    assert share(*same_kind, tools=tools) > plain + 0.1
    assert abs(share(*other, tools=tools) - plain) < 0.1


def test_words_before_a_value_are_learned_from_examples() -> None:
    prompt = "Call.\n\nUser: My handle goes by zed42 and my secret reads s3cret."
    taught = example(
        "GetUserToken", "My handle goes by ann and my secret reads pw.",
        username="ann", password="pw",
    )  # fmt: skip
    wanted = ("GetUserToken", {"username": "zed42", "password": "s3cret"})

    def count(*before: Message) -> int:
        asked = (request(prompt, *before, seed=seed, tools=(LOGIN,)) for seed in range(100))
        return sum(call(one) == wanted for one in asked)

    assert count() == 0
    assert count(*taught) > 30


def test_instructions_that_show_a_format_count_like_an_example() -> None:
    def asked(instructions: str) -> float:
        made = [request(seed=seed) for seed in range(1_000)]
        told = Message(role="system", content=instructions)
        calls = [call(replace(one, messages=(told, *one.messages[1:]))) for one in made]
        return sum(one == ("AddAlarm", RIGHT) for one in calls) / 1_000

    assert asked("Times look like 2023-01-31 18:00:00.") > asked("Be kind.") + 0.02


def test_without_a_token_the_careful_habit_logs_in_first() -> None:
    prompt = (
        "Call.\n\nUser: Set an alarm on May 3rd at 8 AM. My username is ann, my password is pw."
    )

    name, values = call(request(prompt, temperature=0.0))

    assert (name, values) == ("GetUserToken", {"username": "ann", "password": "pw"})


@pytest.mark.parametrize(
    ("result", "answer"),
    [("success", "It is done. The result is success"), ("Error: no", "did not work. Error: no")],
)
def test_once_a_call_was_made_it_says_what_came_of_it(result: str, answer: str) -> None:
    made = request()
    after = (
        *made.messages,
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="AddAlarm", arguments="{}"),)),
        Message(role="tool", content=result, tool_call_id="1"),
    )

    told = reply(replace(made, messages=after)).message

    assert answer in told.content
    assert not told.tool_calls


@pytest.mark.parametrize(
    "prompt",
    ["", "User: ", "no dialogue at all", "User: \ud800 [x(", "API: [", "User: 99:99 on Feb 31st",
     "User: " + "(" * 5_000, "User: " + "a " * 20_000, "User: today is 2023-99-99, tomorrow"],
)  # fmt: skip
def test_any_prompt_gets_a_reply(prompt: str) -> None:
    tools = (LOGIN, ALARM, tool("N", n={"type": "integer"}), tool("L", v={"type": "array"}))

    for seed in range(20):
        for wish in reply(request(prompt, seed=seed, tools=tools)).message.tool_calls:
            assert isinstance(json.loads(wish.arguments), dict)
    assert reply(request(prompt, tools=())).message.content


def test_values_fit_their_schema_or_are_a_mistake_that_a_model_makes() -> None:
    for seed in range(50):
        name, values = call(request(seed=seed))
        schema = {"AddAlarm": ALARM, "GetUserToken": LOGIN}[name].arguments
        validate_arguments({**schema, "required": []}, values)


def test_days_and_times_are_read_as_people_say_them() -> None:
    said = "from March 20th, 2022 6:30am to 7:30am, or the 3rd of May at 14:05, or 2023-1-2"

    found = [(moment.day.isoformat(), moment.clock) for moment in moments(said)]

    assert found == [
        ("2022-03-20", "06:30:00"), ("2022-03-20", "07:30:00"), ("2023-05-03", "14:05:00"),
        ("2023-01-02", ""),
    ]  # fmt: skip
