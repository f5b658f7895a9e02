"""A real HTTP provider on 127.0.0.1: the chat formats of OpenAI, Anthropic, Gemini and Bedrock.

    async with LoopbackProvider(brain=lambda ask: text("4")) as provider:
        provider.openai_base_url, provider.anthropic_base_url, provider.ledger

As a process of its own: `python -m tests.loopback.provider --help`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from .dialects import parse, render, render_error
from .faults import Fault, Faults, RateLimiter
from .ledger import Entry, Ledger
from .misbehave import UNANSWERED, refuse, spoil
from .streaming import begin, pieces, streams
from .tuning import TuningDesk
from .wire import Ask, BadAsk, Say, Wire

Brain = Callable[[Ask], Say | Awaitable[Say]]


class LoopbackProvider:
    """The provider. Everything about it is deterministic but the time.

    Args:
        brain: From the neutral request to the neutral reply, sync or async.
        latency_s: How long each call takes beyond the brain's own time.
        faults: Which calls go wrong; None: none.
        limiter: A real rate limit; None: none.
        ledger_path: Also keep the ledger in this file (JSON lines).
        keys: Accepted credentials; None: any, but not none at all.
        retry_after_s: What the injected 429s with Retry-After ask for.
        tuning: Its fine-tuning service; None: it has none.
        piece_s: The pause between the pieces of a streamed reply.
        hang_s: How long an injected time-out holds the connection.
    """

    def __init__(
        self,
        *,
        brain: Brain,
        latency_s: float = 0.0,
        faults: Faults | None = None,
        limiter: RateLimiter | None = None,
        ledger_path: Path | None = None,
        keys: frozenset[str] | None = None,
        retry_after_s: float = 0.05,
        hang_s: float = 600.0,
        piece_s: float = 0.0,
        tuning: TuningDesk | None = None,
        port: int = 0,
    ) -> None:
        self.ledger = Ledger(ledger_path)
        self.latency_s = latency_s
        self.faults = faults
        self.retry_after_s = retry_after_s
        self.hang_s = hang_s
        self.piece_s = piece_s
        self.tuning = tuning
        self._brain = brain
        self._limiter = limiter
        self._keys = keys
        self._port = port
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The root, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.url}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """What an Anthropic client takes as its base URL."""
        return self.url

    async def __aenter__(self) -> Self:
        # the client hanging up cancels the handler, so that the ledger can say so
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=4096)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self.ledger.aclose()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.endswith("/chat/completions"):
            return await self._answer("openai", request)
        if path.endswith("/messages"):
            return await self._answer("anthropic", request)
        if path.endswith(":generateContent"):
            return await self._answer("gemini", request)
        if path.endswith("/converse"):
            return await self._answer("bedrock", request)
        if self.tuning is not None:
            tuned = await self.tuning.handle(request)
            if tuned is not None:
                return tuned
            if path == "/tuning":
                return web.json_response(self.tuning.summary())
        if path == "/ledger":
            return web.json_response(self.ledger.summary())
        return web.json_response({"error": {"message": f"no such path: {path}"}}, status=404)

    async def _answer(self, wire: Wire, request: web.BaseRequest) -> web.StreamResponse:
        entry = Entry(
            number=len(self.ledger),
            at_unix_s=time.time(),
            wire=wire,
            path=request.path,
            key=_credential(request),
        )
        in_flight = self.ledger.in_flight
        self.ledger.open(entry)
        try:
            response = await self._reply(wire, request, entry, in_flight)
            entry.status = response.status
            return response
        except (asyncio.CancelledError, ConnectionError):
            if entry.outcome == "open":
                entry.outcome = "client_gone"
            raise
        finally:
            if entry.outcome == "open":
                entry.outcome = "provider_failed"  # the brain raised: a bug in the test
            self.ledger.close(entry)

    async def _reply(
        self, wire: Wire, request: web.BaseRequest, entry: Entry, in_flight: int
    ) -> web.StreamResponse:
        try:
            ask = parse(wire, await request.read(), key=entry.key, path=request.path)
        except BadAsk as error:
            return _refusal(wire, entry, 400, "invalid_request_error", str(error))
        ask = replace(
            ask,
            attempt=self.ledger.attempt(ask.hash),
            path=request.raw_path,
            headers=request.headers,
        )
        entry.model, entry.hash, entry.attempt = ask.model, ask.hash, ask.attempt
        if not ask.key or (self._keys is not None and ask.key not in self._keys):
            return _refusal(wire, entry, 401, "authentication_error", "invalid api key")
        if self._limiter is not None:
            headers = self._limiter.refuse(in_flight)
            if headers is not None:
                entry.outcome = "limited"
                body = render_error(wire, 429, "rate_limit_error", "too many requests")
                return web.json_response(body, status=429, headers=headers)
        fault = self.faults(ask) if self.faults is not None else None
        if fault is not None:
            entry.outcome = fault
        return await self._speak(request, entry, ask, fault)

    async def _speak(
        self, request: web.BaseRequest, entry: Entry, ask: Ask, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and fault in UNANSWERED:
            return await refuse(self, request, ask, fault)
        said = self._brain(ask)
        say = (await said if inspect.isawaitable(said) else said).counted(ask)
        # from here on the work is done and billed, whether or not the client is still there
        entry.prompt_tokens, entry.completion_tokens = say.tokens(ask)
        entry.cached_tokens = say.cached_tokens
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if fault is not None:
            return await spoil(request, ask, say, fault)
        body = render(ask, say, entry.number)
        if streams(ask):
            response = await begin(request)
            *first, last = pieces(ask, body)
            for piece in first:
                await response.write(piece)
                await asyncio.sleep(self.piece_s)
            entry.outcome, entry.status = "answered", 200
            self.ledger.close(entry)
            await response.write(last)
            await response.write_eof()
            return response
        raw = orjson.dumps(body)
        # booked before the last byte leaves: who has the reply finds it in the ledger
        entry.outcome, entry.status = "answered", 200
        self.ledger.close(entry)
        return web.Response(body=raw, content_type="application/json")


def _refusal(wire: Wire, entry: Entry, status: int, kind: str, message: str) -> web.Response:
    entry.outcome = kind
    return web.json_response(render_error(wire, status, kind, message), status=status)


def _credential(request: web.BaseRequest) -> str:
    headers = request.headers
    key = headers.get("x-api-key") or headers.get("api-key") or ""
    key = key or headers.get("x-goog-api-key", "")
    return key or headers.get("authorization", "").removeprefix("Bearer ")


if __name__ == "__main__":
    from tests.loopback.process import main

    main()
