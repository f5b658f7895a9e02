"""A time limit around a block, at half the price of `anyio.fail_after`: each call has some."""

from __future__ import annotations

import asyncio
from types import TracebackType

import anyio


class Deadline:
    """Raises `TimeoutError` if its block takes longer. Used once, as `with Deadline(seconds)`."""

    __slots__ = ("_scope",)

    def __init__(self, seconds: float) -> None:
        self._scope = anyio.CancelScope(deadline=asyncio.get_running_loop().time() + seconds)

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, traceback)  # swallows only what is raised here instead
        if self._scope.cancelled_caught:
            raise TimeoutError
