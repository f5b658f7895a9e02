"""Progress as plain lines: for files, pipes and CI logs."""

from __future__ import annotations

from typing import TextIO

from ...engine.events import Event
from .lines import lines


class PlainView:
    """A lossy sink that writes a line for what matters. No colours, no cursor movement."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failures: set[str] = set()

    async def handle(self, event: Event) -> None:
        """Write the event's lines, if it has any."""
        for line in lines(event, self._failures):
            # a pipe's encoding may know less than UTF-8
            encoding = self._stream.encoding or "utf-8"
            text = line.text.encode(encoding, "replace").decode(encoding)
            self._stream.write(text + "\n")
        self._stream.flush()
