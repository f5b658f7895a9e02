"""The lane that every provider takes if nothing faster is proven: `litellm.acompletion`."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
import anyio.to_thread

from ...engine.messages import Request
from .chat import chat_messages, chat_parameters
from .failures import from_litellm
from .resolution import ResolvedModel


class AcompletionLane:
    """Asks through LiteLLM, and closes the HTTP clients that LiteLLM opened for it.

    A reply is bounded in time here, by the call's deadline, but not in bytes as in the fast lane:
    LiteLLM reads bodies with clients of its own, and a session of ours in their place
    (`shared_session`) would lose what it sets on them for TLS and proxies. It streams nothing:
    LiteLLM's streams may look for a tokenizer on the internet, and shield their closing.
    """

    def __init__(self, litellm: Any) -> None:
        self._litellm = litellm
        self._internal = internal_flag()
        # our tools are never MCP servers: spares LiteLLM the import of `mcp`, 1.5 s
        skips = "_skip_mcp_handler" in _names_in(litellm.completion)
        self._quick = {"_skip_mcp_handler": True} if skips else {}
        self._tally: _Tally | None = None

    async def ask(self, resolved: ResolvedModel, request: Request) -> Any:
        """Return the chat completion as plain data in OpenAI's form, unchecked.

        Args:
            resolved: Whom to ask.
            request: What.

        Raises:
            ModelError: LiteLLM's, translated.
        """
        if self._tally is None:
            self._tally = _tally(self._litellm)
            self._tally.users += 1
            # LiteLLM imports these within the first call: about a second of a blocked loop
            await anyio.to_thread.run_sync(_import_late_parts)
        arguments = _arguments(resolved, request) | self._quick
        # no callbacks of the application wait for our calls: then LiteLLM's own book-keeping,
        # which starts a task that outlives the call, can stay off
        token = self._internal.set(True) if self._internal and not self._observed() else None
        try:
            response = await self._litellm.acompletion(**arguments)
        except Exception as error:
            raise from_litellm(resolved.source, error) from error
        finally:
            if self._internal and token is not None:
                self._internal.reset(token)
        return plain(response)

    async def aclose(self) -> None:
        """Close LiteLLM's clients of this event loop, if no other model here still uses them."""
        tally, self._tally = self._tally, None
        if tally is None:
            return
        tally.users -= 1
        if tally.users == 0:
            await _close_clients(self._litellm, tally.before)

    def _observed(self) -> bool:
        names = ("callbacks", "success_callback", "failure_callback", "_async_success_callback")
        return any(getattr(self._litellm, name, None) for name in names)


def plain(response: Any) -> Any:
    """Turn LiteLLM's reply objects into plain data. Fields of odd types pass through."""
    choices: Any = getattr(response, "choices", None)
    usage: Any = getattr(response, "usage", None)
    return {
        "choices": [_choice(choice) for choice in choices] if isinstance(choices, list) else None,
        "usage": usage.model_dump(warnings=False) if hasattr(usage, "model_dump") else usage,
    }


def _choice(choice: Any) -> dict[str, Any]:
    message = getattr(choice, "message", None)
    calls = getattr(message, "tool_calls", None) or []
    return {
        "finish_reason": getattr(choice, "finish_reason", None),
        "message": {
            "content": getattr(message, "content", None),
            "reasoning_content": getattr(message, "reasoning_content", None),
            "tool_calls": [
                {
                    "id": getattr(call, "id", None),
                    "function": {
                        "name": getattr(getattr(call, "function", None), "name", None),
                        "arguments": getattr(getattr(call, "function", None), "arguments", None),
                    },
                }
                for call in calls
            ],
        },
    }


def _arguments(resolved: ResolvedModel, request: Request) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": resolved.model,
        "messages": chat_messages(request, marks=resolved.takes_marks),
        **chat_parameters(request),
        "timeout": resolved.settings.timeout_s,
        # attempts are counted, budgeted and spaced by the engine alone
        "num_retries": 0,
        "max_retries": 0,
        "drop_params": True,
    }
    if resolved.settings.base_url is not None:
        arguments["api_base"] = resolved.settings.base_url
    if resolved.key is not None:
        arguments["api_key"] = resolved.key
    return arguments | dict(resolved.settings.extra)


def _names_in(function: Any) -> tuple[Any, ...]:
    """Return the literals of a decorated function: a version's private options show there."""
    inner = inspect.unwrap(function)
    found: tuple[Any, ...] = getattr(getattr(inner, "__code__", None), "co_consts", ())
    return found


def _import_late_parts() -> None:
    for name in ("openai.resources", "litellm.litellm_core_utils.default_encoding"):
        with suppress(ImportError):
            importlib.import_module(name)


def internal_flag() -> ContextVar[bool] | None:
    """Return what tells LiteLLM to leave its own book-keeping off, where it knows that."""
    with suppress(ImportError):
        from litellm._internal_context import is_internal_call

        return is_internal_call
    return None


@dataclass(slots=True)
class _Tally:
    before: frozenset[str]  # clients that were there when the first of ours came
    users: int = 0


# LiteLLM keeps one cache of clients per process, shared by all that run in an event loop; so it
# takes one count per event loop to know when the last of ours has left
_tallies: WeakKeyDictionary[asyncio.AbstractEventLoop, _Tally] = WeakKeyDictionary()


def _tally(litellm: Any) -> _Tally:
    loop = asyncio.get_running_loop()
    found = _tallies.get(loop)
    if found is None or found.users == 0:
        found = _tallies[loop] = _Tally(frozenset(_clients(litellm)))
    return found


def _clients(litellm: Any) -> Mapping[str, Any]:
    """Return LiteLLM's cached HTTP clients of the running loop, by key."""
    cached: Mapping[str, Any] = litellm.in_memory_llm_clients_cache.cache_dict
    suffix = f"-{id(asyncio.get_running_loop())}"
    return {key: client for key, client in cached.items() if str(key).endswith(suffix)}


async def _close_clients(litellm: Any, keep: frozenset[str]) -> None:
    cache = litellm.in_memory_llm_clients_cache
    for key, client in _clients(litellm).items():
        if key in keep:
            continue
        cache.cache_dict.pop(key, None)
        getattr(cache, "ttl_dict", {}).pop(key, None)
        close = getattr(client, "close", None) or getattr(client, "aclose", None)
        if close is not None:
            with anyio.move_on_after(2, shield=True), suppress(Exception):
                await close()
    # tasks that LiteLLM started for its last calls, and transports, end within a few turns
    with anyio.CancelScope(shield=True):
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
