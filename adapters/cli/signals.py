"""Ctrl-C and SIGTERM: the first drains, the second stops now. Only the command line owns them."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio

from .output import say

GRACE_S = 30.0  # for what is in flight to end; after it the run is stopped as by a second signal


class Stopper:
    """Turns signals into a polite stop, then into a cancellation."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.interrupted = False
        self._scope = scope
        self._drain: Callable[[], None] | None = None

    def drain_with(self, drain: Callable[[], None]) -> None:
        """From now on the first signal calls `drain` instead of cancelling at once."""
        self._drain = drain
        if self.interrupted:
            drain()

    async def watch(self) -> None:
        """Wait for signals; runs until cancelled."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if self.interrupted or self._drain is None:
                    self.interrupted = True
                    break
                self.interrupted = True
                say("stopping: waiting for what is in flight; once more stops now", style="yellow")
                self._drain()
                # the deadline counts from the first signal and ends with the run
                self._scope.deadline = anyio.current_time() + GRACE_S
        self._scope.cancel()


@asynccontextmanager
async def stopping() -> AsyncGenerator[Stopper]:
    """Watch for signals within the block; a second one cancels it, without raising."""
    async with anyio.create_task_group() as watcher:
        with anyio.CancelScope() as scope:
            stopper = Stopper(scope)
            watcher.start_soon(stopper.watch)
            yield stopper
        watcher.cancel_scope.cancel()
