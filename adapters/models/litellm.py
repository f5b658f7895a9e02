"""Every provider that LiteLLM knows, behind the engine's Model protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread

from ...engine.deadline import Deadline
from ...engine.errors import InvalidReply, ModelConfigError
from ...engine.messages import Reply, Request
from ...engine.ports import ModelFacts
from ...storage.spelling import environment_guard
from .acompletion import AcompletionLane
from .failures import FIX, transient, unreadable
from .fast import FastLane
from .loading import load_litellm
from .replies import blotted, bound_counts, make_reply, read_counts, read_reply, steady_ids
from .resolution import ResolvedModel, is_embedded, litellm_cost, resolve
from .settings import ModelSettings
from .spelling import Unproven
from .streams import FirstToken

_WITHOUT_IDS = frozenset({"gemini", "vertex_ai", "vertex_ai_beta"})  # their calls have none
_DEFAULTS = ModelSettings()


class LiteLLMModel:
    """Chat models by `provider/model` name. Asks once per call; never retries by itself.

    Use it as an async context manager: leaving closes every connection that it opened. LiteLLM
    is imported (in a thread) when a model is first used or `load` is awaited, whichever is first.

    Args:
        settings: Model name -> what a person says about it.
        default: For models without settings of their own.
        fast: Whether to leave out LiteLLM's call wrapper where that is proven to be equal.
        notice: Told once per model why it is asked through the wrapper although it has a fast
            lane.
    """

    def __init__(
        self,
        settings: Mapping[str, ModelSettings] | None = None,
        *,
        default: ModelSettings = _DEFAULTS,
        fast: bool = True,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        self._default = default
        self._litellm: Any = None
        self._resolved: dict[str, ResolvedModel] = {}
        self._is_fast = fast
        self._notice = notice
        self._guard = environment_guard()
        self._fast: FastLane | None = None
        self._fallback: AcompletionLane | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            for lane in (self._fast, self._fallback):
                if lane is not None:
                    await lane.aclose()
        self._fast = self._fallback = None

    async def load(self) -> None:
        """Import LiteLLM in a thread, so that the event loop stays free. May be called early."""
        if self._litellm is None:
            self._litellm = await anyio.to_thread.run_sync(load_litellm)

    def describe(self, model: str) -> ModelFacts:
        """Return what is known about `model`. Imports LiteLLM where that was not done before."""
        return self._resolve(model).facts

    async def complete(self, request: Request) -> Reply:
        """Ask once."""
        if is_embedded(request.model):
            from .embedded import complete_embedded

            return await complete_embedded(request)
        await self.load()
        resolved = self._resolve(request.model)
        _check_tools(resolved, request)
        heard = FirstToken() if resolved.settings.stream else None
        started_s = time.monotonic()
        try:
            with Deadline(resolved.settings.timeout_s):
                body = await self._ask(resolved, request, heard)
            if resolved.provider in _WITHOUT_IDS:
                steady_ids(body)
        except TimeoutError as error:
            limit_s = resolved.settings.timeout_s
            raise transient(
                resolved.source, "timeout", f"no reply within {limit_s:g} s", billed=True
            ) from error
        reply = self._reply(resolved, request, body, time.monotonic() - started_s)
        if heard is not None and heard.at_s is not None:
            return replace(reply, first_token_s=heard.at_s - started_s)
        return reply

    async def _ask(
        self, resolved: ResolvedModel, request: Request, heard: FirstToken | None
    ) -> Any:
        if self._is_fast:
            if self._fast is None:
                self._fast = FastLane(self._litellm, self._notice)
            with suppress(Unproven):
                return await self._fast.ask(resolved, request, heard)
        if self._fallback is None:
            self._fallback = AcompletionLane(self._litellm)
        return await self._fallback.ask(resolved, request)

    def _reply(
        self, resolved: ResolvedModel, request: Request, body: Any, latency_s: float
    ) -> Reply:
        try:
            read = read_reply(body)
            if self._guard is not None:
                read = blotted(read, self._guard)
            usage = body.get("usage")
            counts = read_counts(usage)
            if counts is None:
                counts, usage = bound_counts(request, read[0]), None
            cost: int | None = None
            if not resolved.prices_are_exact and usage is not None:
                cost = litellm_cost(self._litellm, resolved, usage)
            if cost is None:
                cost = resolved.prices.cost(counts)
            return make_reply(read, counts, cost, latency_s)
        except InvalidReply as error:
            raise unreadable(resolved.source, str(error)) from error

    def _resolve(self, model: str) -> ResolvedModel:
        found = self._resolved.get(model)
        if found is None:
            if self._litellm is None and not is_embedded(model):
                self._litellm = load_litellm()
            settings = self._settings.get(model) or self._settings.get(untuned(model))
            settings = settings or self._default
            found = self._resolved[model] = resolve(self._litellm, model, settings)
        return found


def untuned(model: str) -> str:
    """Return what a provider's `provider/ft:BASE:...` was made of: it is asked in the same way."""
    provider, _, name = model.partition("/")
    return f"{provider}/{name.split(':')[1]}" if name.startswith("ft:") else model


def _check_tools(resolved: ResolvedModel, request: Request) -> None:
    """Refuse to drop tools: an agent without its tools would be scored for nothing."""
    if request.tools and not resolved.takes_tools:
        raise ModelConfigError(
            f"{resolved.model}: takes no tools, as far as LiteLLM knows: choose another model, "
            f"or an agent that needs none ({FIX})",
            kind="unsupported",
            model=resolved.model,
        )
