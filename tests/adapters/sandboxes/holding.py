"""Keeps a sandbox open across the tests of a module."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import psutil
from funcforge.engine.functions import Function

T = TypeVar("T")

BACKENDS = ("bubblewrap", "sandlock")


@asynccontextmanager
async def holding(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one task: fixtures are set up and torn down in two."""
    opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def hold() -> None:
        try:
            async with context as value:
                opened.set_result(value)
                await closing.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            else:
                raise

    task = asyncio.create_task(hold())
    try:
        yield await opened
    finally:
        closing.set()
        await task


def function(
    code: str,
    *arguments: str,
    name: str = "f",
    packages: tuple[str, ...] = (),
    **more: Any,
) -> Function:
    """Return a function that takes the named arguments."""
    properties: dict[str, Any] = {argument: {} for argument in arguments}
    schema = {"type": "object", "properties": properties, **more}
    return Function(
        name=name, description="A test.", arguments=schema, code=code, packages=packages
    )


def descendants() -> list[int]:
    """Return the processes below this one."""
    return [process.pid for process in psutil.Process().children(recursive=True)]


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
