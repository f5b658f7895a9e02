"""Streamed replies as providers send them: OpenAI's chunks, Anthropic's events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import orjson
from aiohttp import web

from .wire import Ask

_LETTERS = 7  # of a piece; long replies have longer ones
_MOST = 60  # pieces of a text


def streams(ask: Ask) -> bool:
    """Whether the reply is to come in pieces."""
    return ask.body.get("stream") is True and ask.wire in ("openai", "anthropic")


async def begin(request: web.BaseRequest) -> web.StreamResponse:
    """Begin to answer."""
    response = web.StreamResponse()
    response.content_type = "text/event-stream"
    await response.prepare(request)
    return response


def pieces(ask: Ask, body: Mapping[str, Any]) -> list[bytes]:
    """Cut the body of a whole reply into the events of a stream."""
    return list(_anthropic(body) if ask.wire == "anthropic" else _openai(ask, body))


def event(data: Any, name: str | None = None) -> bytes:
    """Return one event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def _cut(text: str) -> list[str]:
    size = max(_LETTERS, -(-len(text) // _MOST))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _openai(ask: Ask, body: Mapping[str, Any]) -> Iterator[bytes]:
    frame = {"id": body.get("id"), "object": "chat.completion.chunk", "created": 1_700_000_000,
             "model": body.get("model")}  # fmt: skip

    def chunk(delta: Mapping[str, Any], finish: Any = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
        return event({**frame, "choices": [choice], **more})

    options = ask.body.get("stream_options") or {}
    apart = bool(options.get("include_usage"))  # OpenAI's way; others need not be asked
    asked_for = apart or not ask.model.startswith(("gpt", "o3"))
    bill = {"usage": body["usage"]} if asked_for and body.get("usage") is not None else {}
    yield b": a comment, as proxies send it\n\n"
    for choice in body.get("choices", ())[:1]:
        message = choice["message"]
        yield chunk({"role": "assistant", "content": ""})
        for part in _cut(message.get("reasoning_content") or ""):
            yield chunk({"reasoning_content": part})
        for part in _cut(message.get("content") or ""):
            yield chunk({"content": part})
        yield from map(chunk, _calls(message.get("tool_calls") or ()))
        yield chunk({}, choice.get("finish_reason"), **({} if apart else bill))
    if apart and bill:
        yield event({**frame, "choices": [], **bill})
    yield b"data: [DONE]\n\n"


def _calls(wanted: Any) -> Iterator[dict[str, Any]]:
    """Name the calls first, then give their arguments in turns."""
    for index, one in enumerate(wanted):
        function = {"name": one["function"]["name"], "arguments": ""}
        head = {"index": index, "id": one["id"], "type": "function", "function": function}
        yield {"tool_calls": [head]}
    for parts in zip_longest(*(_cut(one["function"]["arguments"] or "") for one in wanted)):
        for index, part in enumerate(parts):
            if part is not None:
                yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _anthropic(body: Mapping[str, Any]) -> Iterator[bytes]:
    usage = body.get("usage")
    begun = {**body, "content": [], "stop_reason": None}
    if usage is not None:
        begun["usage"] = {**usage, "output_tokens": 1}

    def named(kind: str, **data: Any) -> bytes:
        return event({"type": kind, **data}, kind)

    yield named("message_start", message=begun)
    yield named("ping")
    for index, block in enumerate(body["content"]):
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""},
                 "tool_use": {"input": {}}}[block["type"]]  # fmt: skip
        yield named("content_block_start", index=index, content_block={**block, **empty})
        for delta in _deltas(block):
            yield named("content_block_delta", index=index, delta=delta)
        yield named("content_block_stop", index=index)
    ending: dict[str, Any] = {"delta": {"stop_reason": body["stop_reason"], "stop_sequence": None}}
    if usage is not None:
        ending["usage"] = {"output_tokens": usage["output_tokens"]}
    yield named("message_delta", **ending)
    yield named("message_stop")


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "thinking":
            for part in _cut(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": part}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "text":
            for part in _cut(block["text"]):
                yield {"type": "text_delta", "text": part}
        case "tool_use":
            for part in _cut(orjson.dumps(block["input"]).decode()):
                yield {"type": "input_json_delta", "partial_json": part}
