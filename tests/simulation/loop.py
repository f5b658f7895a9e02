"""An event loop whose clock jumps: an hour of waiting takes no time, and is the same each time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, move the loop's clock to it."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        elif not ready and timeout is None:
            raise Deadlock("nothing is scheduled and nothing can happen: the run hangs")
        return ready


class Deadlock(AssertionError):
    """Every task waits for another one."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs in-process work only: no threads, no sockets, no child processes."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class VirtualClock:
    """The engine's `Clock` on a virtual loop."""

    def __init__(self, loop: VirtualLoop, epoch_s: float = 1_700_000_000.0) -> None:
        self._loop = loop
        self._epoch_s = epoch_s

    def monotonic_s(self) -> float:
        return self._loop.time()

    def unix_s(self) -> float:
        return self._epoch_s + self._loop.time()


class Killed(Exception):
    """The process died here."""


def run_until_killed(
    loop: VirtualLoop, work: Coroutine[Any, Any, T], kill_after_s: float | None
) -> T:
    """Run on the loop; with `kill_after_s` die there as by kill -9: nothing is cleaned up.

    Raises:
        Killed: The moment came before the work was done.
    """
    task = loop.create_task(work)
    if kill_after_s is None:
        return loop.run_until_complete(task)
    dead = loop.create_future()
    loop.call_later(kill_after_s, dead.set_result, None)
    loop.run_until_complete(asyncio.wait({task, dead}, return_when=asyncio.FIRST_COMPLETED))
    if task.done():
        return task.result()
    for pending in asyncio.all_tasks(loop):
        pending._log_destroy_pending = False  # type: ignore[attr-defined]
    raise Killed
