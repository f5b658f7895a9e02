"""The chat protocol: a request in, a reply out. Pure: equal requests, equal replies."""

from __future__ import annotations

from ....engine.canonical import canonical_json
from ....engine.messages import Finish, Message, Reply, Request
from ....engine.usage import Usage
from .agent import act
from .optimizer import ACTIONS, propose

_CHARS_A_TOKEN = 4  # about what tokenizers give for English


def reply(request: Request) -> Reply:
    """Answer as optimizer where the tools are edits of functions, else as agent.

    A token is counted for every four characters, begun ones included; nothing is charged.
    """
    message = propose(request) if optimizes(request) else act(request)
    finish: Finish = "tool_calls" if message.tool_calls else "stop"
    usage = Usage(
        calls=1,
        prompt_tokens=sum(map(_count, request.messages))
        + sum(tokens(canonical_json(tool.to_json())) for tool in request.tools),
        completion_tokens=_count(message),
    )
    return Reply(message=message, finish=finish, usage=usage)


def optimizes(request: Request) -> bool:
    """Whether a request is about functions rather than a task."""
    return any(tool.name in ACTIONS for tool in request.tools)


def tokens(text: str) -> int:
    """Count the tokens of a text."""
    return -(-len(text) // _CHARS_A_TOKEN)


def _count(message: Message) -> int:
    calls = sum(tokens(call.name) + tokens(call.arguments) for call in message.tool_calls)
    return tokens(message.content) + calls
