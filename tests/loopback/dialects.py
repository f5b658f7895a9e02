"""The spelling of requests, replies and errors on each wire: OpenAI's and Anthropic's here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import orjson
from funcforge.engine.messages import Message, Role, Tool, ToolCall

from . import converse, google
from .wire import Ask, BadAsk, Say, Wire


def parse(wire: Wire, raw: bytes, *, key: str, path: str = "") -> Ask:
    """Read a request body.

    Raises:
        BadAsk: It is not what the wire format asks for.
    """
    try:
        body = orjson.loads(raw)
        ask = _PARSERS[wire](body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAsk(f"{type(error).__name__}: {error}") from error
    if "model" not in ask:
        ask["model"] = model_in(path)
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:20]
    return Ask(wire=wire, key=key, hash=digest, body=body, **ask)


def model_in(path: str) -> str:
    """Return the model that a path names: `/models/NAME:verb` or `/model/NAME/verb`."""
    tail = path.rpartition("/models/")[2] if "/models/" in path else path
    if "/model/" in path:
        return path.rpartition("/model/")[2].rpartition("/")[0]
    return tail.rpartition(":")[0]


def render(ask: Ask, say: Say, number: int) -> dict[str, Any]:
    """Return the body of a reply."""
    if say.raw is not None:
        return dict(say.raw)
    return _RENDERERS[ask.wire](ask, say, number)


def render_error(wire: Wire, status: int, kind: str, message: str) -> dict[str, Any]:
    """Return the body of an error reply."""
    match wire:
        case "anthropic":
            return {"type": "error", "error": {"type": kind, "message": message}}
        case "gemini":
            return google.render_error(status, kind, message)
        case "bedrock":
            return {"message": message}
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def _flat(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = []
    for part in content:
        kind = part.get("type")
        if kind == "text":
            parts.append(part["text"])
        elif kind in {"image_url", "image"}:
            parts.append("[image]")
    return "\n".join(parts)


def _parse_openai(body: Mapping[str, Any]) -> dict[str, Any]:
    messages = []
    for item in body["messages"]:
        role: Role = {"developer": "system"}.get(item["role"], item["role"])
        wanted = tuple(
            ToolCall(id=c["id"], name=c["function"]["name"], arguments=c["function"]["arguments"])
            for c in item.get("tool_calls") or ()
        )
        messages.append(
            Message(
                role=role,
                content=_flat(item.get("content")),
                tool_calls=wanted,
                tool_call_id=item.get("tool_call_id"),
            )
        )
    tools = tuple(
        Tool(
            name=tool["function"]["name"],
            description=tool["function"].get("description", ""),
            arguments=tool["function"].get("parameters", {}),
        )
        for tool in body.get("tools") or ()
    )
    choice = body.get("tool_choice", "auto")
    stop = body.get("stop") or ()
    return {
        "model": body["model"],
        "messages": tuple(messages),
        "tools": tools,
        "tool_choice": choice if isinstance(choice, str) else choice["function"]["name"],
        "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens") or 4096,
        "temperature": body.get("temperature"),
        "seed": body.get("seed"),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop),
        "json_mode": body.get("response_format") is not None,
    }


def _parse_anthropic(body: Mapping[str, Any]) -> dict[str, Any]:
    messages = []
    if body.get("system"):
        messages.append(Message(role="system", content=_flat(body["system"])))
    for item in body["messages"]:
        messages += _anthropic_message(item)
    tools = tuple(
        Tool(
            name=tool["name"],
            description=tool.get("description", ""),
            arguments=tool["input_schema"],
        )
        for tool in body.get("tools") or ()
    )
    choice = (body.get("tool_choice") or {"type": "auto"})["type"]
    return {
        "model": body["model"],
        "messages": tuple(messages),
        "tools": tools,
        "tool_choice": {"any": "required"}.get(choice, choice),
        "max_tokens": body["max_tokens"],
        "temperature": body.get("temperature"),
        "stop": tuple(body.get("stop_sequences") or ()),
        "json_mode": "output_format" in body or "output_config" in body,
    }


def _anthropic_message(item: Mapping[str, Any]) -> list[Message]:
    content = item["content"]
    if isinstance(content, str):
        return [Message(role=item["role"], content=content)]
    found: list[Message] = []
    wanted = []
    words = []
    for block in content:
        if block["type"] == "tool_result":
            found.append(
                Message(
                    role="tool",
                    content=_flat(block.get("content")),
                    tool_call_id=block["tool_use_id"],
                )
            )
        elif block["type"] == "tool_use":
            arguments = json.dumps(block["input"], sort_keys=True)
            wanted.append(ToolCall(id=block["id"], name=block["name"], arguments=arguments))
        elif block["type"] == "text":
            words.append(block["text"])
    if words or wanted:
        found.append(Message(role=item["role"], content="\n".join(words), tool_calls=tuple(wanted)))
    return found


def _render_openai(ask: Ask, say: Say, number: int) -> dict[str, Any]:
    prompt, completion = say.tokens(ask)
    message: dict[str, Any] = {"role": "assistant", "content": say.content or None}
    if say.reasoning:
        message["reasoning_content"] = say.reasoning
    if say.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in say.calls
        ]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": ask.model,
        "service_tier": "default",
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": say.finish_reason}
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": say.cached_tokens},
        },
    }


_ANTHROPIC_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def _render_anthropic(ask: Ask, say: Say, number: int) -> dict[str, Any]:
    prompt, completion = say.tokens(ask)
    blocks: list[dict[str, Any]] = []
    if say.reasoning:
        blocks.append({"type": "thinking", "thinking": say.reasoning, "signature": "sig"})
    if say.content:
        blocks.append({"type": "text", "text": say.content})
    for wanted in say.calls:
        block: dict[str, Any] = {"type": "tool_use", "id": wanted.id, "name": wanted.name}
        block["input"] = json.loads(wanted.arguments)
        blocks.append(block)
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": blocks,
        "stop_reason": _ANTHROPIC_STOP.get(say.finish_reason, say.finish_reason),
        "stop_sequence": None,
        "usage": {
            # Anthropic counts what it read from the cache beside `input_tokens`, not in it
            "input_tokens": prompt - say.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": say.cached_tokens,
            "output_tokens": completion,
        },
    }


_PARSERS = {
    "openai": _parse_openai,
    "anthropic": _parse_anthropic,
    "gemini": google.parse,
    "bedrock": converse.parse,
}
_RENDERERS = {
    "openai": _render_openai,
    "anthropic": _render_anthropic,
    "gemini": google.render,
    "bedrock": converse.render,
}
