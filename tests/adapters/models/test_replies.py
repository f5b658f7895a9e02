"""Replies are untrusted: whatever comes is read, bounded or refused, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from funcforge.adapters.models.prices import TokenCounts
from funcforge.adapters.models.replies import (
    LONGEST_TEXT,
    bound_counts,
    make_reply,
    read_counts,
    read_reply,
)
from funcforge.engine.errors import InvalidReply
from funcforge.engine.messages import Message, Request, ToolCall
from hypothesis import given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def _body(message: Any, finish: Any = "stop") -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish}]}


@settings(max_examples=200, deadline=None)
@given(content=JSON, calls=JSON, finish=JSON, usage=JSON)
def test_anything_is_read_or_refused(content: Any, calls: Any, finish: Any, usage: Any) -> None:
    body = _body({"content": content, "tool_calls": calls}, finish)
    try:
        message, end, _ = read_reply(body)
    except InvalidReply:
        return
    message.content.encode()
    assert end in {"stop", "length", "tool_calls", "content_filter"}
    read_counts(usage)


@pytest.mark.parametrize(
    "body",
    [None, [], "text", {}, {"choices": []}, {"choices": [None]}, {"choices": [{"message": 3}]}],
)
def test_what_holds_no_message_is_refused(body: Any) -> None:
    with pytest.raises(InvalidReply):
        read_reply(body)


def test_a_huge_text_is_cut_and_counts_as_cut_off() -> None:
    message, finish, _ = read_reply(_body({"content": "x" * (LONGEST_TEXT + 1)}))

    assert len(message.content) == LONGEST_TEXT
    assert finish == "length"


def test_odd_tool_calls_are_read_as_far_as_they_go() -> None:
    wanted = [
        {"id": "same", "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "same", "function": {"name": "g", "arguments": None}},
        {"function": {"name": "h", "arguments": "not json"}},
        {"id": 7, "function": {"name": "i\ud800", "arguments": "\udfff"}},
    ]

    message, finish, _ = read_reply(_body({"content": None, "tool_calls": wanted}))

    assert finish == "tool_calls"
    assert message.tool_calls == (
        ToolCall(id="same", name="f", arguments='{"a": 1}'),
        ToolCall(id="same_1", name="g", arguments="{}"),
        ToolCall(id="call_2", name="h", arguments="not json"),
        ToolCall(id="call_3", name="i\ufffd", arguments="\ufffd"),
    )


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {"prompt_tokens": "12", "completion_tokens": 1},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": float("nan"), "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
)
def test_a_bill_that_makes_no_sense_is_no_bill(usage: Any) -> None:
    assert read_counts(usage) is None


def test_cached_tokens_are_a_part_of_the_prompt() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 1.0,
        "prompt_tokens_details": {"cached_tokens": 99},
    }

    assert read_counts(usage) == TokenCounts(prompt=10, completion=1, cached=10)


def test_a_missing_bill_is_bounded_from_above() -> None:
    request = Request(model="m", messages=(Message(role="user", content="é" * 100),), max_tokens=50)

    counts = bound_counts(request, Message(role="assistant", content="word " * 1000))

    assert counts.prompt >= 200
    assert counts.completion == 50


def test_silence_at_no_token_is_a_hiccup_and_not_an_answer() -> None:
    read = (Message(role="assistant"), "stop", "")

    with pytest.raises(InvalidReply):
        make_reply(read, TokenCounts(prompt=9, completion=0), 0, 0.1)  # type: ignore[arg-type]
    reply = make_reply(read, TokenCounts(prompt=9, completion=3), 0, 0.1)  # type: ignore[arg-type]
    assert reply.message.content == ""
