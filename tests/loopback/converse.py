"""Bedrock's `converse`, as the loopback provider speaks it. Signatures are not checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from funcforge.engine.messages import Message, Tool, ToolCall

from .wire import Ask, Say

_STOP = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "content_filtered",
}


def parse(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request body."""
    messages = []
    if body.get("system"):
        messages.append(Message(role="system", content=_text(body["system"])))
    for item in body["messages"]:
        messages += _messages(item)
    tools = tuple(
        Tool(
            name=tool["toolSpec"]["name"],
            description=tool["toolSpec"].get("description", ""),
            arguments=tool["toolSpec"]["inputSchema"]["json"],
        )
        for tool in (body.get("toolConfig") or {}).get("tools", ())
        if "toolSpec" in tool
    )
    limits = body.get("inferenceConfig") or {}
    return {
        "messages": tuple(messages),
        "tools": tools,
        "max_tokens": limits.get("maxTokens", 4096),
        "temperature": limits.get("temperature"),
        "stop": tuple(limits.get("stopSequences") or ()),
    }


def render(ask: Ask, say: Say, number: int) -> dict[str, Any]:
    """Return the body of a reply."""
    prompt, completion = say.tokens(ask)
    content: list[dict[str, Any]] = []
    if say.reasoning:
        shown = {"text": say.reasoning, "signature": "sig"}
        content.append({"reasoningContent": {"reasoningText": shown}})
    if say.content:
        content.append({"text": say.content})
    for wanted in say.calls:
        used = {
            "toolUseId": wanted.id,
            "name": wanted.name,
            "input": json.loads(wanted.arguments),
        }
        content.append({"toolUse": used})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _STOP.get(say.finish_reason, say.finish_reason),
        "usage": {
            # as Anthropic counts: what came from the cache stands beside it
            "inputTokens": prompt - say.cached_tokens,
            "outputTokens": completion,
            "totalTokens": prompt + completion,
            "cacheReadInputTokens": say.cached_tokens,
            "cacheWriteInputTokens": 0,
        },
        "metrics": {"latencyMs": 1},
    }


def _messages(item: Mapping[str, Any]) -> list[Message]:
    found: list[Message] = []
    wanted = []
    words = []
    for block in item["content"]:
        if "toolResult" in block:
            result = block["toolResult"]
            found.append(
                Message(
                    role="tool",
                    content=_text(result["content"]),
                    tool_call_id=result["toolUseId"],
                )
            )
        elif "toolUse" in block:
            used = block["toolUse"]
            arguments = json.dumps(used["input"], sort_keys=True)
            wanted.append(ToolCall(id=used["toolUseId"], name=used["name"], arguments=arguments))
        elif "text" in block:
            words.append(block["text"])
    if words or wanted:
        found.append(Message(role=item["role"], content="\n".join(words), tool_calls=tuple(wanted)))
    return found


def _text(blocks: Any) -> str:
    return "\n".join(block.get("text", "") for block in blocks)
