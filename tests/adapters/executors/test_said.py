"""A message of an episode crosses once, and every message arrives where it was said."""

from __future__ import annotations

from funcforge.adapters.executors.said import Heard, PackedMessages, Said
from funcforge.engine.messages import Message, ToolCall

SYSTEM = Message(role="system", content="s")
QUESTION = Message(role="user", content="q")
CALL = Message(role="assistant", tool_calls=(ToolCall(id="i", name="n", arguments="{"),))
RESULT = Message(role="tool", content="r", tool_call_id="i")


def send(said: Said, *messages: Message) -> PackedMessages:
    """Pack messages, and have them sent."""
    packed = said.pack(messages)
    said.sent(messages)
    return packed


def test_what_was_sent_before_is_not_sent_again() -> None:
    said, heard = Said(), Heard()

    first = send(said, SYSTEM, QUESTION)
    second = send(said, SYSTEM, QUESTION, CALL, RESULT)
    last = send(said, RESULT, SYSTEM)

    assert [type(one) for one in second] == [int, int, tuple, tuple]
    assert [type(one) for one in last] == [int, int]
    assert heard.unpack(first) == (SYSTEM, QUESTION)
    assert heard.unpack(second) == (SYSTEM, QUESTION, CALL, RESULT)
    assert heard.unpack(last) == (RESULT, SYSTEM)


def test_a_message_said_twice_at_once_arrives_twice() -> None:
    said, heard = Said(), Heard()

    packed = [send(said, QUESTION, QUESTION, CALL), send(said, CALL, QUESTION, RESULT)]

    assert [heard.unpack(one) for one in packed] == [
        (QUESTION, QUESTION, CALL),
        (CALL, QUESTION, RESULT),
    ]


def test_what_could_not_be_sent_does_not_count_as_sent() -> None:
    said, heard = Said(), Heard()
    said.pack([SYSTEM, CALL])  # and not `sent`

    packed = send(said, QUESTION, CALL)

    assert heard.unpack(packed) == (QUESTION, CALL)


def test_messages_made_anew_for_each_call_arrive() -> None:
    said, heard = Said(), Heard()

    for number in range(100):  # the ids of objects that are gone come again
        made = Message(role="user", content=str(number))
        assert heard.unpack(send(said, made)) == (Message(role="user", content=str(number)),)
