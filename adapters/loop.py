"""The event loop of a process that is ours: the command line's, or a worker's."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

# Python looks for cycles after 700 new objects: with hundreds of episodes in flight, all of them
# alive, that is a third of all computing time
_COLLECT_AFTER = (50_000, 10, 10)


def run_loop(work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    """Run in uvloop's event loop where it is installed, in asyncio's own otherwise.

    Makes the collector of cycles rarer for the whole process, which has to be ours.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    quick = importlib.util.find_spec("uvloop") is not None
    anyio.run(work, *arguments, backend_options={"use_uvloop": quick})
