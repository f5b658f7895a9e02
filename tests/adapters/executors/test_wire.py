"""What goes to a worker and back arrives whole."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from funcforge.adapters.executors import wire
from funcforge.adapters.executors.said import Heard, Said
from funcforge.engine.episode import Episode, Failure, FunctionCall, Job, Score
from funcforge.engine.errors import (
    BudgetExhausted,
    ConfigError,
    FuncforgeError,
    ModelConfigError,
    RequestRefused,
    StoreLocked,
    TransientModelError,
)
from funcforge.engine.judgement import Judgement
from funcforge.engine.messages import Message, Reply, Request, Tool, ToolCall
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage

JOB = Job(evaluation="test/1", parameters_version="v", task_id="t", repeat=2)
TASK = Task(
    id="t", prompt="lone \ud800", target="x", files={"a": "b"}, metadata={"n": [1, {"m": 2**70}]}
)
USAGE = Usage(
    calls=1, prompt_tokens=2, completion_tokens=3, cached_tokens=4, cost_pusd=5_000_000_000_000
)
CALL = ToolCall(id="i", name="n", arguments="{")
MESSAGES = (
    Message(role="system", content="s"),
    Message(role="assistant", content="\ud800", tool_calls=(CALL,)),
    Message(role="tool", content="r", tool_call_id="i"),
)
REQUEST = Request(
    model="p/m",
    messages=MESSAGES,
    tools=(Tool(name="f", description="d", arguments={"type": "object"}),),
    tool_choice="required",
    max_tokens=7,
    temperature=0.5,
    seed=3,
    stop=("a", "b"),
    json_schema={"type": "object"},
)
REPLY = Reply(
    message=MESSAGES[1],
    finish="tool_calls",
    usage=USAGE,
    latency_s=1.5,
    reasoning="because",
    first_token_s=0.5,
)
SCORE = Score(
    value=0.5,
    comment="c",
    by="critic",
    gold=0.25,
    judgement=Judgement(
        episode_id=JOB.episode_id,
        score=0.5,
        dimensions={"clear": 0.5},
        votes=(0.25, 0.75),
        agreement=0.5,
        reason="r",
        cut=True,
    ),
)
EPISODE = Episode(
    id=JOB.episode_id,
    run_id="run",
    job=JOB,
    prompt=TASK.prompt,
    messages=MESSAGES,
    calls=(
        FunctionCall(
            name="f", arguments="{}", outcome="value", result="1", function_hash="h", elapsed_s=0.5
        ),
    ),
    answer="a",
    end="turns",
    score=SCORE,
    failure=Failure(kind="k", message="m"),
    usage=USAGE,
    elapsed_s=2.5,
    metadata={"category": "c"},
    state={"cart": [1, 2]},
)


def there_and_back(packed: wire.Packed) -> wire.Packed:
    (message,) = wire.Frames().feed(wire.frame(packed))
    return message


@pytest.mark.parametrize(
    ("value", "out", "back"),
    [
        (JOB, wire.job_out, wire.job_in),
        (TASK, wire.task_out, wire.task_in),
        (REQUEST, lambda r: wire.request_out(r, Said()), lambda p: wire.request_in(p, Heard())),
        (REPLY, wire.reply_out, wire.reply_in),
        (
            EPISODE,
            lambda e: wire.episode_out(e, Said()),
            lambda p: wire.episode_in(p, Heard(), "run", JOB, TASK),
        ),
    ],
)
def test_every_field_arrives(value: Any, out: Any, back: Any) -> None:
    usual = {
        field.name: field.default
        for field in dataclasses.fields(value)
        if field.default is not dataclasses.MISSING
    }

    found = back(there_and_back(out(value)))

    assert found == value
    for name, default in usual.items():  # a field that is new here must be set above to be tested
        assert getattr(value, name) != default, f"{type(value).__name__}.{name} is not tested"


def test_nothing_of_the_values_inside_is_left_untested() -> None:
    for value in (SCORE, SCORE.judgement, USAGE, MESSAGES[1], EPISODE.calls[0]):
        assert value is not None
        for field in dataclasses.fields(value):
            if not field.compare:  # a hint for the sending side alone
                continue
            tested = value if field.name != "tool_call_id" else MESSAGES[2]
            assert getattr(tested, field.name) != field.default, field.name


def test_numbers_that_json_has_no_form_for_arrive() -> None:
    task = Task(id="t", prompt="p", metadata={"nan": math.nan, "inf": -math.inf})

    found = wire.task_in(there_and_back(wire.task_out(task)))

    assert math.isnan(found.metadata["nan"])
    assert found.metadata["inf"] == -math.inf


@pytest.mark.parametrize(
    "error",
    [
        BudgetExhausted("spent", cap="calls", limit=3),
        TransientModelError("later", kind="rate_limit", model="m", billed=True, retry_after_s=1.5),
        RequestRefused("no", kind="bad_request", model="m"),
        ModelConfigError("key", kind="auth", model="m"),
        ConfigError("wrong", file="a.toml", key="b.c"),
        StoreLocked("locked", path="runs.db"),
    ],
)
def test_an_error_arrives_with_all_it_carries(error: FuncforgeError) -> None:
    found = wire.error_in(there_and_back(wire.error_out(error)))

    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


def test_an_error_of_somebody_else_arrives_as_text() -> None:
    found = wire.error_in(there_and_back(wire.error_out(KeyError("x"))))

    assert type(found) is RuntimeError
    assert "KeyError: 'x'" in str(found)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_messages_arrive_however_the_stream_is_cut(size: int) -> None:
    messages = [("ask", number, "x" * number * 7) for number in range(20)]
    stream = b"".join(map(wire.frame, messages))
    frames = wire.Frames()

    found = [
        message
        for at in range(0, len(stream), size)
        for message in frames.feed(stream[at : at + size])
    ]

    assert found == messages
