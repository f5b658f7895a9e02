"""Streamed replies of the fast lane: pieces in, the reply out as if it had come whole.

Each wire's pieces are put together to the very body that the provider would have sent at once, so
that it is read by the same code. A stream that breaks off is never taken for a whole reply.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from .spelling import decode

# what an error within a stream calls itself -> the status it would have had before it
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class StreamFailed(Exception):
    """The provider reported an error after it had begun to answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class StreamTooLong(Exception):
    """More bytes came than any reply has."""


@dataclass(slots=True)
class FirstToken:
    """When the first word of a reply, or of a tool call in it, was heard."""

    at_s: float | None = None  # monotonic; None: not yet

    def hear(self) -> None:
        """Note the time, once."""
        if self.at_s is None:
            self.at_s = time.monotonic()


class Stream(Protocol):
    """Puts the pieces of one reply together."""

    @property
    def is_whole(self) -> bool:
        """Whether the provider said that this is the end."""
        ...

    def take(self, data: bytes) -> bool:
        """Take one event; return whether it says a part of the answer.

        Raises:
            ValueError: It is not what the protocol says.
            StreamFailed: The provider reports an error.
        """
        ...

    def body(self) -> Any:
        """Return the reply as it would have come at once.

        Raises:
            ValueError: A part of it is not what the protocol says.
        """
        ...


async def gather(
    response: aiohttp.ClientResponse, stream: Stream, heard: FirstToken, *, limit: int
) -> Any:
    """Read a stream to its end; return the body of the whole reply.

    Raises:
        ValueError: It is not what the protocol says.
        StreamFailed, StreamTooLong: As they say.
        ConnectionError: It ended before its end.
    """
    events, size = _Events(), 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > limit:
            raise StreamTooLong
        for data in events.feed(chunk):
            if stream.take(data):
                heard.hear()
    for data in events.end():
        stream.take(data)
    if not stream.is_whole:
        raise ConnectionError("connection closed in the middle of a streamed reply")
    return stream.body()


class _Events:
    """Server-sent events: the data of each. Comments and other fields are left out.

    Source: WHATWG HTML, "Server-sent events", parsing an event stream.
    """

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line that has not ended
        self._data: list[bytes] = []  # of an event that has not ended

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._rest += chunk
        if b"\n" not in chunk:
            return
        lines = bytes(self._rest).split(b"\n")
        self._rest = bytearray(lines.pop())
        for line in lines:
            yield from self._line(line.rstrip(b"\r"))

    def end(self) -> Iterator[bytes]:
        """Return an event that nothing came after."""
        yield from self._line(bytes(self._rest).rstrip(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            yield data


class ChatStream:
    """OpenAI's wire: deltas of one choice, then `[DONE]`."""

    def __init__(self) -> None:
        self._ended = False
        self._choices = 0
        self._finish: Any = None
        self._usage: Any = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[Any, _Call] = {}
        self._last: Any = 0

    @property
    def is_whole(self) -> bool:
        # some servers leave the mark out, and none says why it ends before it does
        return self._ended or self._finish is not None

    def take(self, data: bytes) -> bool:
        if data.strip() == b"[DONE]":
            self._ended = True
            return False
        piece = _table(decode(data))
        _check(piece)
        usage = piece.get("usage")
        if usage is None:  # Groq's place for it
            usage = _table(piece.get("x_groq") or {}).get("usage")
        if usage is not None:
            self._usage = usage
        choices = piece.get("choices")
        if not isinstance(choices, list) or not choices:
            return False
        self._choices += 1
        choice = _table(choices[0])
        if choice.get("finish_reason") is not None:
            self._finish = choice["finish_reason"]
        return self._delta(_table(choice.get("delta") or {}))

    def _delta(self, delta: Mapping[str, Any]) -> bool:
        for name in ("reasoning_content", "reasoning"):
            if isinstance(thought := delta.get(name), str):
                self._reasoning.append(thought)
                break
        said = delta.get("content")
        if isinstance(said, str):
            self._text.append(said)
        calls = delta.get("tool_calls")
        for one in calls if isinstance(calls, list) else ():
            self._call(_table(one))
        return bool(said or calls)

    def _call(self, one: Mapping[str, Any]) -> None:
        function = _table(one.get("function") or {})
        name, wanted = function.get("name"), one.get("id")
        key = one.get("index")
        if not isinstance(key, int):  # some servers leave the place out
            key = len(self._calls) if name else self._last
        known = self._calls.get(key)
        if known is not None and name and wanted and known.id and wanted != known.id:
            key = f"{key}/{wanted}"  # several calls at one place, each whole
        self._last = key
        call = self._calls.setdefault(key, _Call())
        call.id = call.id or wanted
        call.name = call.name or name
        if isinstance(arguments := function.get("arguments"), str):
            call.arguments.append(arguments)

    def body(self) -> Any:
        if not self._choices:
            return {"choices": [], "usage": self._usage}
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text) or None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._calls:
            message["tool_calls"] = [call.plain() for call in self._calls.values()]
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        return {"object": "chat.completion", "choices": [choice], "usage": self._usage}


@dataclass(slots=True)
class _Call:
    """A tool call of which more may come."""

    id: Any = None
    name: Any = None
    arguments: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}


# Anthropic's deltas -> the field that holds what they add
_PARTS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


class MessageStream:
    """Anthropic's wire: the message's frame, its blocks one after the other, its end."""

    def __init__(self) -> None:
        self._ended = False
        self._message: dict[str, Any] = {}
        self._blocks: dict[Any, dict[str, Any]] = {}
        self._parts: dict[tuple[Any, str], list[str]] = {}  # (block, field) -> what came of it

    @property
    def is_whole(self) -> bool:
        return self._ended

    def take(self, data: bytes) -> bool:
        event = _table(decode(data))
        _check(event)
        match event.get("type"):
            case "message_start":
                self._message = dict(_table(event.get("message")))
            case "content_block_start":
                block = self._blocks[event.get("index")] = dict(_table(event.get("content_block")))
                return block.get("type") == "tool_use"
            case "content_block_delta":
                return self._delta(event.get("index"), _table(event.get("delta")))
            case "message_delta":
                changes = _table(event.get("delta") or {})
                self._message |= {name: changes[name] for name in changes if name != "usage"}
                usage = _table(event.get("usage") or {})
                known = _table(self._message.get("usage") or {})
                told = {name: value for name, value in usage.items() if value is not None}
                if known or told:
                    self._message["usage"] = {**known, **told}
            case "message_stop":
                self._ended = True
        return False

    def _delta(self, index: Any, delta: Mapping[str, Any]) -> bool:
        kind = str(delta.get("type"))
        name = _PARTS.get(kind)
        if name is None or index not in self._blocks:
            return False
        if isinstance(part := delta.get(name), str):
            self._parts.setdefault((index, name), []).append(part)
        return kind in ("text_delta", "input_json_delta")

    def body(self) -> Any:
        for (index, name), parts in self._parts.items():
            block, whole = self._blocks[index], "".join(parts)
            if name == "partial_json":
                block["input"] = self._input(whole)
            else:
                block[name] = (block.get(name) or "") + whole
        return {**self._message, "content": list(self._blocks.values())}

    def _input(self, text: str) -> Any:
        try:
            return json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            if self._message.get("stop_reason") == "max_tokens":
                return {}  # cut off within the arguments: as it comes unstreamed
            raise ValueError(f"the arguments of a tool call are no JSON: {error}") from error


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"a piece of the stream is no object: {str(value)[:100]!r}")
    return value


def _check(event: Mapping[str, Any]) -> None:
    """Raise the error that an event reports, if it does."""
    error = event.get("error")
    if not error:
        return
    told = error if isinstance(error, Mapping) else {"message": str(error)}
    names = [str(told.get(name)) for name in ("code", "type")]
    code = told.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    status = status or next((_STATUSES[name] for name in names if name in _STATUSES), 500)
    raise StreamFailed(status, json.dumps(event, default=str)[:4_000])
