"""The chat protocol as the engine speaks it: requests to a model and its replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .canonical import canonical_json, quick_hash
from .usage import NO_USAGE, Usage

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's wish to call a tool. Untrusted: the name may not exist, the text may not parse."""

    id: str
    name: str
    arguments: str  # raw text; JSON if the model kept to the format


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None  # which call a tool message answers
    # so many characters stay the same in requests to come: a hint for the provider's prompt cache,
    # which is no part of what is asked
    stable: int = field(default=0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the message in the form that is hashed and stored."""
        data: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            data["tool_calls"] = [
                {"id": call.id, "name": call.name, "arguments": call.arguments}
                for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            data["tool_call_id"] = self.tool_call_id
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        """Read what `to_json` wrote."""
        return cls(
            role=data["role"],
            content=data["content"],
            tool_calls=tuple(ToolCall(**call) for call in data.get("tool_calls", ())),
            tool_call_id=data.get("tool_call_id"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as the model sees it."""

    name: str
    description: str
    arguments: Mapping[str, Any]  # JSON Schema, type object

    def to_json(self) -> dict[str, Any]:
        """Return the tool in the form that is hashed and stored."""
        return {
            "name": self.name,
            "description": self.description,
            "arguments": dict(self.arguments),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to one model. Equal requests have equal `hash`."""

    model: str  # provider/model, as LiteLLM spells it
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "required", "none"] = "auto"  # read only where there are tools
    max_tokens: int = 2048  # the longest reply; what the budget reserves
    temperature: float | None = None  # None: the provider's default
    seed: int | None = None  # None: not sent
    stop: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None  # ask for a JSON reply of this form

    def to_json(self) -> dict[str, Any]:
        """Return the request in the form that is hashed and stored. Holds no secret."""
        data: dict[str, Any] = {
            "model": self.model,
            "messages": [message.to_json() for message in self.messages],
            "max_tokens": self.max_tokens,
        }
        if self.tools:
            data["tools"] = [tool.to_json() for tool in self.tools]
            data["tool_choice"] = self.tool_choice
        if self.temperature is not None:
            data["temperature"] = self.temperature
        if self.seed is not None:
            data["seed"] = self.seed
        if self.stop:
            data["stop"] = list(self.stop)
        if self.json_schema is not None:
            data["json_schema"] = dict(self.json_schema)
        return data

    @property
    def hash(self) -> str:
        """Content hash of the whole request."""
        return quick_hash(self.to_json())

    def token_bound(self) -> int:
        """Return an upper bound on the prompt tokens.

        Every tokenizer in use spends at least one byte of UTF-8 on a token, and chat templates
        add a few tokens per message and per request: bytes plus 16 a message is never too low.
        """
        size = 64
        for message in self.messages:
            size += 16 + _bytes(message.content)
            for call in message.tool_calls:
                size += 48 + len(call.name) + _bytes(call.arguments)
        for tool in self.tools:
            size += 48 + _bytes(canonical_json(tool.to_json()))
        if self.json_schema is not None:
            size += len(canonical_json(dict(self.json_schema)))
        return size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model answered, and what it used."""

    message: Message  # role assistant
    finish: Finish
    usage: Usage = field(default=NO_USAGE)
    latency_s: float = 0.0
    reasoning: str = ""  # where the provider shows it; never sent back
    first_token_s: float | None = None  # after it was asked; None: it came at once

    def to_json(self) -> dict[str, Any]:
        """Return the reply in the form that is stored; usage and latency have columns."""
        data: dict[str, Any] = {"message": self.message.to_json(), "finish": self.finish}
        if self.reasoning:
            data["reasoning"] = self.reasoning
        return data
