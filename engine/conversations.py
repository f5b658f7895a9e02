"""Which part of an episode's conversation is the agent's own work on the task."""

from __future__ import annotations

from .episode import Episode
from .messages import Message


def own_turns(episode: Episode) -> tuple[Message, ...]:
    """Return the conversation after the question; demonstrations may stand before it."""
    messages = episode.messages
    asked = [at for at, message in enumerate(messages) if message.role == "user"]
    for at in reversed(asked):
        if messages[at].content == episode.prompt:
            return messages[at + 1 :]
    for at in reversed(asked):  # an agent of one's own may say more than the prompt
        if episode.prompt in messages[at].content:
            return messages[at + 1 :]
    return tuple(message for message in messages if message.role != "system")
