"""What the caller is shown, taken apart: the dialogue, the tools, worked examples, instructions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ....engine.messages import Message, Request, Tool

_LINE = re.compile(r"^(User|AI|API): ", re.MULTILINE)
_CALL = re.compile(r"\[(\w+)\((.*)\)\] -> (.*)", re.DOTALL)
_PAIR = re.compile(r"(\w+)='(.*?)'(?=, \w+='|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A call that stands in a dialogue."""

    name: str
    parameters: Mapping[str, str]
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A dialogue up to the call that is wanted."""

    users: tuple[str, ...]  # what the user said
    text: str  # what both said, without calls and results
    made: tuple[Made, ...]
    since: tuple[Made, ...]  # calls after the user spoke last

    @property
    def said(self) -> str:
        """All that the user said."""
        return "\n".join(self.users)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A worked example: a dialogue and the call that it shows for it."""

    talk: Talk
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A whole request, read."""

    talk: Talk
    tools: Mapping[str, Tool]
    examples: tuple[Example, ...]
    instructions: str
    results: tuple[str, ...]  # of the calls that this conversation made already


def read_request(request: Request) -> Shown:
    """Take a request apart."""
    asked = [place for place, m in enumerate(request.messages) if _asks(m)]
    last = asked[-1] if asked else len(request.messages) - 1
    examples = []
    for start, end in pairwise(asked):
        example = _example(request.messages[start:end])
        if example is not None:
            examples.append(example)
    prompt = request.messages[last].content if request.messages else ""
    return Shown(
        talk=read_talk(prompt),
        tools={tool.name: tool for tool in request.tools},
        examples=tuple(examples),
        instructions="\n".join(m.content for m in request.messages if m.role == "system"),
        results=tuple(m.content for m in request.messages[last + 1 :] if m.role == "tool"),
    )


def read_talk(prompt: str) -> Talk:
    """Read the lines of a dialogue out of a prompt."""
    starts = list(_LINE.finditer(prompt))
    ends = [*(match.start() for match in starts[1:]), len(prompt)][: len(starts)]
    users: list[str] = []
    told: list[str] = []
    made: list[Made] = []
    since = 0
    for match, end in zip(starts, ends, strict=True):
        line = prompt[match.end() : end].strip()
        if match[1] == "API":
            call = _CALL.fullmatch(line)
            if call is not None:
                made.append(
                    Made(name=call[1], parameters=dict(_PAIR.findall(call[2])), result=call[3])
                )
            continue
        told.append(line)
        if match[1] == "User":
            users.append(line)
            since = len(made)
    if not starts:
        users, told = [prompt], [prompt]
    return Talk(
        users=tuple(users), text="\n".join(told), made=tuple(made), since=tuple(made[since:])
    )


def _asks(message: Message) -> bool:
    """Whether a message asks for something; notices of the agent's loop hold no dialogue."""
    return message.role == "user" and _LINE.search(message.content) is not None


def _example(messages: Sequence[Message]) -> Example | None:
    calls = [call for message in messages for call in message.tool_calls]
    if not calls:
        return None
    try:
        arguments = json.loads(calls[0].arguments or "{}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, dict):
        return None
    return Example(talk=read_talk(messages[0].content), name=calls[0].name, arguments=arguments)
