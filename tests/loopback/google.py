"""Gemini's `generateContent`, as the loopback provider speaks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from funcforge.engine.messages import Message, Role, Tool, ToolCall

from .wire import Ask, Say

_STOP = {
    "stop": "STOP",
    "tool_calls": "STOP",  # it has no word of its own for calls
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def parse(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request body."""
    messages = []
    system = body.get("system_instruction") or body.get("systemInstruction")
    if system:
        messages.append(Message(role="system", content=_text(system["parts"])))
    for item in body["contents"]:
        messages += _messages(item)
    found = [d for tool in body.get("tools") or () for d in tool.get("function_declarations", ())]
    tools = tuple(
        Tool(
            name=tool["name"],
            description=tool.get("description", ""),
            arguments=tool.get("parameters", {}),
        )
        for tool in found
    )
    limits = body.get("generationConfig") or {}
    return {
        "messages": tuple(messages),
        "tools": tools,
        "max_tokens": limits.get("max_output_tokens", 4096),
        "temperature": limits.get("temperature"),
        "seed": limits.get("seed"),
        "stop": tuple(limits.get("stop_sequences") or ()),
        "json_mode": "response_mime_type" in limits,
    }


def render(ask: Ask, say: Say, number: int) -> dict[str, Any]:
    """Return the body of a reply."""
    prompt, completion = say.tokens(ask)
    parts: list[dict[str, Any]] = []
    if say.reasoning:
        parts.append({"text": say.reasoning, "thought": True})
    if say.content:
        parts.append({"text": say.content})
    for wanted in say.calls:
        called = {"name": wanted.name, "args": json.loads(wanted.arguments)}
        parts.append({"functionCall": called})
    candidate: dict[str, Any] = {
        "finishReason": _STOP.get(say.finish_reason, "OTHER"),
        "index": 0,
    }
    if parts:  # a filtered reply has no content at all
        candidate["content"] = {"role": "model", "parts": parts}
    usage: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion,
        "totalTokenCount": prompt + completion,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    if say.cached_tokens:
        usage["cachedContentTokenCount"] = say.cached_tokens
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": say.cached_tokens}]
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": ask.model,
        "responseId": f"response-{number}",
    }


def render_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """Return the body of an error reply."""
    word = _STATUS.get(status, "INTERNAL")
    return {"error": {"code": status, "message": f"{message} ({kind})", "status": word}}


def _messages(item: Mapping[str, Any]) -> list[Message]:
    role: Role = "assistant" if item.get("role") == "model" else "user"
    found: list[Message] = []
    wanted = []
    words = []
    for part in item["parts"]:
        if "function_response" in part:
            answer = part["function_response"]
            content = answer["response"].get("content", json.dumps(answer["response"]))
            found.append(Message(role="tool", content=content, tool_call_id=answer["name"]))
        elif "function_call" in part:
            call = part["function_call"]
            arguments = json.dumps(call.get("args") or {}, sort_keys=True)
            wanted.append(ToolCall(id=call["name"], name=call["name"], arguments=arguments))
        elif "text" in part:
            words.append(part["text"])
    if words or wanted:
        found.append(Message(role=role, content="\n".join(words), tool_calls=tuple(wanted)))
    return found


def _text(parts: Any) -> str:
    return "\n".join(part.get("text", "") for part in parts)
