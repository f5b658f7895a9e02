"""The threads of a worker's event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

QUICK_S = 0.005  # a request written so soon may hold up the loop instead of taking a thread


class Threads(ThreadPoolExecutor):
    """A loop's default executor, but for LiteLLM's requests: they are written in the loop itself.

    `acompletion` has a thread write each request. Where every core has a worker no core is free
    for it, and threads that take turns at Python's lock cost both sides: 4 % of a call. So once a
    thread was quick with a model's request, and left the waiting to a coroutine, the next one is
    written at once. One that was slow (it asked for a token, or its provider can only be waited
    for by a thread) sends the next one to a thread again.
    """

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="asyncio")  # as asyncio makes its own
        self._quick: set[str] = set()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run in a thread, or at once."""
        model = _asked(work)
        if model is None:
            return super().submit(work, *args, **kwargs)
        if model not in self._quick:
            return super().submit(self._watch, model, work)
        done: Future[Any] = Future()
        try:
            done.set_result(self._watch(model, work))
        except Exception as error:  # raised where it is awaited, as a thread's is
            done.set_exception(error)
        return done

    def _watch(self, model: str, work: Callable[[], Any]) -> Any:
        self._quick.discard(model)  # also where it raises
        started_s = time.perf_counter()
        made = work()
        if asyncio.iscoroutine(made) and time.perf_counter() - started_s < QUICK_S:
            self._quick.add(model)
        return made


def _asked(work: Any) -> str | None:
    """Return whose request LiteLLM writes in this piece of work; None if it is other work.

    It is `partial(context.run, partial(completion, model=...))`.
    """
    inner = work.args[0] if isinstance(work, partial) and work.args else None
    if not isinstance(inner, partial) or inner.func.__module__ != "litellm.main":
        return None
    model = inner.keywords.get("model")
    return model if isinstance(model, str) else None
