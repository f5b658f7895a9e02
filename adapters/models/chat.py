"""A request in OpenAI's chat form, which is also the form that LiteLLM takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...engine.messages import Message, Request, Tool


def chat_messages(request: Request, *, marks: bool = False) -> list[dict[str, Any]]:
    """Return the conversation. Lone surrogates, which UTF-8 has no form for, become U+FFFD.

    Args:
        marks: Whether to mark what stays the same for the provider's prompt cache.
    """
    found = [chat_message(message) for message in request.messages]
    if marks:
        for message, data in zip(request.messages, found, strict=True):
            if message.stable and message.role in {"system", "user"}:
                data["content"] = _marked(message.content, message.stable)
    return found


def chat_tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """Return the tools."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": scrub(tool.description),
                "parameters": _scrub_json(tool.arguments),
            },
        }
        for tool in tools
    ]


def chat_parameters(request: Request) -> dict[str, Any]:
    """Return everything but the model and the messages."""
    parameters: dict[str, Any] = {"max_tokens": request.max_tokens}
    if request.tools:
        parameters["tools"] = chat_tools(request.tools)
        parameters["tool_choice"] = request.tool_choice
    if request.temperature is not None:
        parameters["temperature"] = request.temperature
    if request.seed is not None:
        parameters["seed"] = request.seed
    if request.stop:
        parameters["stop"] = list(request.stop)
    if request.json_schema is not None:
        parameters["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": _scrub_json(request.json_schema)},
        }
    return parameters


def scrub(text: str) -> str:
    """Replace lone surrogates."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _marked(content: str, stable: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": scrub(content[:stable])}]
    parts[0]["cache_control"] = {"type": "ephemeral"}
    if content[stable:]:
        parts.append({"type": "text", "text": scrub(content[stable:])})
    return parts


def chat_message(message: Message) -> dict[str, Any]:
    """Return one message."""
    data: dict[str, Any] = {"role": message.role}
    if message.content or not message.tool_calls:  # LiteLLM leaves out an empty one beside calls
        data["content"] = scrub(message.content)
    if message.tool_calls:
        data["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": scrub(call.name), "arguments": scrub(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        data["tool_call_id"] = message.tool_call_id
    return data


def _scrub_json(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub(str(key)): _scrub_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub_json(item) for item in value]
    return value
