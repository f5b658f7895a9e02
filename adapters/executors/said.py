"""Messages on the way to another process. Those of an episode go once, however often it says them.

Each call of an episode repeats all that was said before it, and the episode's end says it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...engine.messages import Message, ToolCall

PackedMessages = list[Any]
"""For each message its fields, or its place among those that were sent before."""


class Said:
    """What was sent of an episode's messages, which are known by being the same object."""

    def __init__(self) -> None:
        self._messages: list[Message] = []  # held: an id is one object's only while it lives
        self._places: dict[int, int] = {}

    def pack(self, messages: Sequence[Message]) -> PackedMessages:
        """Pack messages, by place where the other side has them."""
        places = self._places
        return [
            place if (place := places.get(id(message))) is not None else message_out(message)
            for message in messages
        ]

    def sent(self, messages: Sequence[Message]) -> None:
        """Take note that what `pack` made of these was sent."""
        fresh = [message for message in messages if id(message) not in self._places]
        for place, message in enumerate(fresh, start=len(self._messages)):
            self._places[id(message)] = place
        self._messages += fresh


class Heard:
    """The other side of a `Said`."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def unpack(self, packed: PackedMessages) -> tuple[Message, ...]:
        """Unpack messages, in the order in which they were packed and sent."""
        found = []
        for one in packed:
            if isinstance(one, int):
                found.append(self._messages[one])
            else:
                message = message_in(one)
                self._messages.append(message)
                found.append(message)
        return tuple(found)


def message_out(message: Message) -> tuple[Any, ...]:
    """Pack a message."""
    calls = [(call.id, call.name, call.arguments) for call in message.tool_calls]
    return (message.role, message.content, calls, message.tool_call_id)


def message_in(packed: tuple[Any, ...]) -> Message:
    """Unpack a message."""
    role, content, calls, answers = packed
    return Message(
        role=role,
        content=content,
        tool_calls=tuple([ToolCall(id=i, name=n, arguments=a) for i, n, a in calls]),
        tool_call_id=answers,
    )
