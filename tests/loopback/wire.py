"""What the loopback provider hears and says.

A brain sees an `Ask` and returns a `Say`; both are the same for every wire.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from funcforge.engine.messages import Message, Tool, ToolCall

Wire = Literal["openai", "anthropic", "gemini", "bedrock"]


class BadAsk(Exception):
    """The client broke the wire format; answered with a 400 that says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, in neutral form."""

    wire: Wire
    model: str  # as on the wire, without the provider's prefix
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    max_tokens: int = 4096
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_mode: bool = False
    key: str = ""  # the credential that came with it
    hash: str = ""  # of the body: equal bodies, equal hash
    attempt: int = 0  # how often this body was asked before
    body: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The text of the last user message."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return ""

    @property
    def results(self) -> tuple[Message, ...]:
        """The tool results after the last user message."""
        found: list[Message] = []
        for message in reversed(self.messages):
            if message.role == "user":
                break
            if message.role == "tool":
                found.append(message)
        return tuple(reversed(found))

    @property
    def characters(self) -> int:
        """Size of the prompt."""
        size = sum(len(m.content) + sum(len(c.arguments) for c in m.tool_calls) + 12
                   for m in self.messages)  # fmt: skip
        return size + sum(len(json.dumps(dict(tool.arguments))) + 40 for tool in self.tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """One reply, in neutral form. Token counts that are None are derived from the text."""

    content: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str | None = None  # None: tool_calls where there are calls, else stop
    reasoning: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    raw: Mapping[str, Any] | None = None  # the whole body, where the form itself is the test

    @property
    def finish_reason(self) -> str:
        """Why the reply ends, in OpenAI's words."""
        return self.finish or ("tool_calls" if self.calls else "stop")

    def tokens(self, ask: Ask) -> tuple[int, int]:
        """Return the prompt and completion tokens that are billed."""
        prompt = self.prompt_tokens
        if prompt is None:
            prompt = ask.characters // 4 + 1
        completion = self.completion_tokens
        if completion is None:
            size = len(self.content) + len(self.reasoning)
            size += sum(len(call.name) + len(call.arguments) for call in self.calls)
            completion = min(size // 4 + 1, ask.max_tokens)
        return prompt, completion

    def counted(self, ask: Ask) -> Say:
        """Return the same with its token counts filled in."""
        prompt, completion = self.tokens(ask)
        return replace(self, prompt_tokens=prompt, completion_tokens=completion)


def text(content: str) -> Say:
    """Say plain text."""
    return Say(content=content)


def call(name: str, arguments: Mapping[str, Any] | str, *, id: str | None = None) -> ToolCall:  # noqa: A002
    """Make a tool call; its id follows from its content unless given."""
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments, sort_keys=True)
    digest = hashlib.sha256(f"{name}\0{raw}".encode("utf-8", "surrogatepass")).hexdigest()
    return ToolCall(id=id or f"call_{digest[:12]}", name=name, arguments=raw)


def calls(*wanted: ToolCall, content: str = "") -> Say:
    """Say tool calls, several of them in parallel."""
    return Say(calls=wanted, content=content)
