"""Wakes whoever waits for something to change."""

from __future__ import annotations

import anyio


class Change:
    """Something that changes often, and is seldom waited for: it costs nothing meanwhile."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        """Return at the next change."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()

    def tell(self) -> None:
        """Wake all that wait now."""
        if self._event is not None:
            self._event.set()
            self._event = None
