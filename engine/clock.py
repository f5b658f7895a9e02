"""The machine's own time. Tests and simulations inject another `Clock`."""

from __future__ import annotations

import time


class SystemClock:
    """Reads the clocks of the operating system."""

    def monotonic_s(self) -> float:
        """Return seconds from an arbitrary start; never goes back."""
        return time.monotonic()

    def unix_s(self) -> float:
        """Return seconds since 1970."""
        return time.time()
