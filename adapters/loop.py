"""The event loop of a process that is ours: the command line's, or a worker's."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

# Python looks for cycles after 700 new objects: with hundreds of episodes in flight, all of them
# alive, that is a third of all computing time; after 50,000 it still is a twentieth with LiteLLM,
# whose calls leave cycles behind. 200,000 objects are about 30 MB
_COLLECT_AFTER = (200_000, 10, 10)


def run_loop(work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    """Run in uvloop's event loop where it is installed, in asyncio's own otherwise."""
    settle_in()
    quick = importlib.util.find_spec("uvloop") is not None
    anyio.run(work, *arguments, backend_options={"use_uvloop": quick})


def settle_in() -> None:
    """Make the collector of cycles rarer for this whole process, which has to be ours."""
    gc.set_threshold(*_COLLECT_AFTER)
