"""How each fault looks on the socket."""

from __future__ import annotations

import asyncio
import email.utils
import time
from typing import Any, NoReturn, Protocol

import orjson
from aiohttp import web

from .dialects import render, render_error
from .faults import Fault
from .streaming import begin, event, pieces, streams
from .wire import Ask, Say

_HTML = "<html><head><title>Bad gateway</title></head><body>nginx</body></html>"

# status, kind (OpenAI's word), kind (Anthropic's word), message
_ERRORS: dict[Fault, tuple[int, str, str, str]] = {
    Fault.RATE_LIMIT: (429, "rate_limit_exceeded", "rate_limit_error", "Rate limit reached"),
    Fault.RATE_LIMIT_WAIT: (429, "rate_limit_exceeded", "rate_limit_error", "Rate limit reached"),
    Fault.RATE_LIMIT_DATE: (429, "rate_limit_exceeded", "rate_limit_error", "Rate limit reached"),
    Fault.ERROR_500: (500, "server_error", "api_error", "The server had an error"),
    Fault.ERROR_503: (503, "server_error", "api_error", "The engine is currently overloaded"),
    Fault.OVERLOADED: (529, "overloaded_error", "overloaded_error", "Overloaded"),
    Fault.AUTH: (401, "invalid_api_key", "authentication_error", "Incorrect API key provided"),
    Fault.PERMISSION: (403, "permission_denied", "permission_error", "No access to this model"),
    Fault.UNKNOWN_MODEL: (404, "model_not_found", "not_found_error", "The model does not exist"),
    Fault.BAD_REQUEST: (400, "invalid_request_error", "invalid_request_error", "Invalid 'stop'"),
    Fault.TOO_LONG: (
        400,
        "context_length_exceeded",
        "invalid_request_error",
        "prompt is too long: This model's maximum context length is 8192 tokens",
    ),
    Fault.CONTENT_POLICY: (
        400,
        "content_policy_violation",
        "invalid_request_error",
        "Your request was rejected as a result of our safety system: content_policy_violation "
        "(Output blocked by content filtering policy)",
    ),
    Fault.QUOTA: (
        429,
        "insufficient_quota",
        "rate_limit_error",
        "You exceeded your current quota, please check your plan and billing details "
        "(insufficient_quota: credit balance is too low)",
    ),
}  # fmt: skip


UNANSWERED = frozenset(_ERRORS) | {
    Fault.ERROR_502,
    Fault.REDIRECT,
    Fault.TIMEOUT,
    Fault.RESET_BEFORE,
}
"""Faults where no reply is ever made, and nothing is billed."""


class Settings(Protocol):
    """What of the provider matters here."""

    retry_after_s: float
    hang_s: float

    @property
    def url(self) -> str: ...


async def refuse(
    settings: Settings, request: web.BaseRequest, ask: Ask, fault: Fault
) -> web.StreamResponse:
    """Answer with one of the faults in UNANSWERED."""
    if fault is Fault.ERROR_502:
        return web.Response(status=502, text=_HTML, content_type="text/html")
    if fault is Fault.REDIRECT:
        return web.Response(status=307, headers={"location": f"{settings.url}/elsewhere"})
    if fault is Fault.TIMEOUT:
        await asyncio.sleep(settings.hang_s)
    if fault not in _ERRORS:
        await _abort(request)
    return _error(settings, ask, fault)


def _error(settings: Settings, ask: Ask, fault: Fault) -> web.Response:
    status, openai, anthropic, message = _ERRORS[fault]
    kind = openai if ask.wire == "openai" else anthropic
    headers = {}
    if fault is Fault.RATE_LIMIT_WAIT:
        headers["retry-after"] = f"{settings.retry_after_s:g}"
    if fault is Fault.RATE_LIMIT_DATE:
        headers["retry-after"] = email.utils.formatdate(
            time.time() + settings.retry_after_s, usegmt=True
        )
    body = render_error(ask.wire, status, kind, message)
    return web.json_response(body, status=status, headers=headers)


async def spoil(request: web.BaseRequest, ask: Ask, say: Say, fault: Fault) -> web.StreamResponse:
    """Send a reply that was made, and billed, in a spoilt form."""
    body = render(ask, say, 0)
    if streams(ask) and fault is not Fault.WRONG_TYPE:
        return await _spoil_stream(request, ask, _changed(ask, say, fault), fault)
    raw = orjson.dumps(body)
    if fault is Fault.RESET_WITHIN:
        await _send(request, raw, stop_after=len(raw) // 2)
        await _abort(request)
    if fault is Fault.SLOW_BODY:
        return await _send(request, raw, pieces=8)
    if fault is Fault.ENDLESS:
        return await _send(request, b" " * 65_536, pieces=1_000_000, whole=False)
    if fault is Fault.WRONG_TYPE:
        return web.Response(text=_HTML, content_type="text/html")
    if fault is Fault.INVALID_JSON:
        raw = raw[: len(raw) // 2]
    elif fault is Fault.NOT_AN_OBJECT:
        raw = orjson.dumps([body])
    else:
        raw = orjson.dumps(_changed(ask, say, fault))
    return web.Response(body=raw, content_type="application/json")


async def _spoil_stream(
    request: web.BaseRequest, ask: Ask, body: dict[str, Any], fault: Fault
) -> web.StreamResponse:
    events = pieces(ask, body)
    middle = len(events) // 2
    response = await begin(request)
    if fault is Fault.ENDLESS:
        some = b"".join(events[1:middle]) * 200
        while True:
            await response.write(some)
    if fault in (Fault.RESET_WITHIN, Fault.STREAM_CUT):
        await response.write(b"".join(events[:middle]))
        if fault is Fault.RESET_WITHIN:
            await _abort(request)
        events = []
    elif fault is Fault.STREAM_ERROR:
        told = render_error(ask.wire, 529, "overloaded_error", "too much to do")
        events = [*events[:middle], event(told, "error" if ask.wire == "anthropic" else None)]
    elif fault is Fault.INVALID_JSON:
        events.insert(middle, b'data: {"choices": [{"del\n\n')
    elif fault is Fault.NOT_AN_OBJECT:
        events.insert(middle, b"data: [1, 2]\n\n")
    for one in events:
        await response.write(one)
        if fault is Fault.SLOW_BODY:
            await asyncio.sleep(0.02)
    await response.write_eof()
    return response


def _changed(ask: Ask, say: Say, fault: Fault) -> dict[str, Any]:
    prompt, completion = say.tokens(ask)
    counts: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    if fault is Fault.CUT_OFF:
        half = say.content[: len(say.content) // 2]
        return render(ask, Say(content=half, finish="length", **counts), 0)
    if fault is Fault.FILTERED:
        return render(ask, Say(finish="content_filter", **counts), 0)
    body = render(ask, say, 0)
    if fault is Fault.EMPTY_CHOICES:
        return _emptied(ask, body)
    if fault is Fault.MISSING_USAGE:
        del body["usageMetadata" if ask.wire == "gemini" else "usage"]
    return body


def _emptied(ask: Ask, body: dict[str, Any]) -> dict[str, Any]:
    match ask.wire:
        case "openai":
            return body | {"choices": []}
        case "anthropic":  # no content is an answer there, but not at no token
            return body | {"content": [], "usage": body["usage"] | {"output_tokens": 0}}
        case "gemini":
            return body | {"candidates": []}
    return body | {
        "output": {"message": {"role": "assistant", "content": []}},
        "usage": body["usage"] | {"outputTokens": 0},
    }


async def _send(
    request: web.BaseRequest,
    raw: bytes,
    *,
    pieces: int = 1,
    stop_after: int | None = None,
    whole: bool = True,
) -> web.StreamResponse:
    """Send a body in pieces, or only its beginning under a header that promises all of it."""
    response = web.StreamResponse()
    response.content_type = "application/json"
    if whole:
        response.content_length = len(raw)
    await response.prepare(request)
    if stop_after is not None:
        await response.write(raw[:stop_after])
        return response
    size = -(-len(raw) // pieces) if whole else len(raw)
    for piece in range(pieces):
        await response.write(raw[piece * size : (piece + 1) * size] if whole else raw)
        if whole:
            await asyncio.sleep(0.02)
    await response.write_eof()
    return response


async def _abort(request: web.BaseRequest) -> NoReturn:
    """Reset the connection: the client sees neither an end nor an error body."""
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()  # until losing the connection cancels this handler
    raise AssertionError
