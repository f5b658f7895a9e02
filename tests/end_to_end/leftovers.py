"""What a process holds: tasks, descriptors, child processes, connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil


def holdings() -> frozenset[str]:
    """Take stock of this process and the running loop."""
    process = psutil.Process()
    held = {f"task {task.get_name()}" for task in asyncio.all_tasks()}
    held |= {f"process {child.pid}" for child in process.children(recursive=True)}
    held |= {f"connection {each.laddr} {each.raddr}" for each in process.net_connections("tcp")}
    return frozenset(held | set(_descriptors()))


def _descriptors() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists them
            yield f"descriptor {number} {os.readlink(f'/proc/self/fd/{number}')}"


async def until(condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Wait for what no event tells, such as another process's doing."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.01)


async def left_behind(before: frozenset[str]) -> frozenset[str]:
    """Return what is held beyond `before`; a socket has a while for its other side to close."""
    with suppress(AssertionError):
        await until(lambda: holdings() <= before, within_s=5.0)
    return holdings() - before
