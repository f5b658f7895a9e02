"""Waits for several pieces of work that must all end in order, also when one of them stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from .errors import FuncforgeError


async def together(*works: Callable[[], Awaitable[None]]) -> None:
    """Run all at once; when one raises an error of ours, let the others end before it is raised.

    A plain task group would cancel them, and with them calls that are being paid for. Whoever
    raises has told the scheduler to send nothing more out, so the others end soon.

    Raises:
        FuncforgeError: The first one raised.
    """
    errors: list[FuncforgeError] = []

    async def one(work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except FuncforgeError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(one, work)
    if errors:
        raise errors[0]
