"""What code prints: sent on in pieces, and cut after a limit."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

_PIECE = 8_192  # characters
_PATIENCE_S = 0.05  # so that a call that runs out of time still shows what it printed


class Output(io.TextIOBase):
    """Stands in for stdout and stderr."""

    def __init__(self, send: Callable[[str], None], limit: int) -> None:
        self._send = send
        self._left = limit
        self._lost = 0
        self._pieces: list[str] = []
        self._held = 0
        self._sent_at_s = time.monotonic()
        self._writing = threading.RLock()  # a signal handler may print while its thread does
        self.buffer = _Bytes(self)

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Take text; what goes beyond the limit is only counted."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._writing:
            taken = text[: self._left]
            self._left -= len(taken)
            self._lost += len(text) - len(taken)
            if taken:
                self._pieces.append(taken)
                self._held += len(taken)
                if self._held >= _PIECE or time.monotonic() - self._sent_at_s > _PATIENCE_S:
                    self.pass_on()
        return len(text)

    def pass_on(self) -> None:
        """Send what is held."""
        with self._writing:
            pieces, self._pieces = self._pieces, []
            self._held = 0
            self._sent_at_s = time.monotonic()
            if pieces:
                self._send("".join(pieces))

    def finish(self) -> None:
        """Send the rest, and how much was left out."""
        with self._writing:
            if self._lost:
                self._pieces.append(f"\n...[cut: {self._lost} characters]...\n")
            self.pass_on()


class _Bytes(io.RawIOBase):
    """Stands in for `sys.stdout.buffer`."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Take bytes, as UTF-8."""
        taken = bytes(data)
        self._output.write(taken.decode("utf-8", "replace"))
        return len(taken)
