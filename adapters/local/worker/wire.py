"""Lines of JSON between a worker and its parent."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

ORPHANED = 3  # exit code of a worker whose parent is gone


class Wire:
    """Reads from stdin, writes to what was stdout. Libraries that print reach stderr only.

    Stdin at its end means that the parent is gone, even by kill -9: the worker ends at once.
    """

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(json.loads(line))
        os._exit(ORPHANED)

    def take(self, at_most: int = 1, wait_s: float = 0.0) -> list[Any]:
        """Wait for a message; return it with those that follow within `wait_s`, up to a number."""
        found = [self._lines.get()]
        while len(found) < at_most:
            try:
                found.append(self._lines.get(timeout=wait_s) if wait_s else self._lines.get(False))
            except queue.Empty:
                break
        return found

    def tell(self, **message: Any) -> None:
        """Send a message."""
        with self._lock:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()
