"""Messages between a process in the sandbox and the engine: a length of four bytes, then JSON."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any


class Channel:
    """This process's end of its own pair of sockets."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.RLock()  # threads that print must not mix their messages

    def send(self, message: dict[str, Any]) -> None:
        """Send one message. Surrogates, which are no text, become question marks."""
        text = json.dumps(message, ensure_ascii=False, allow_nan=False)
        data = text.encode("utf-8", "replace")
        with self._sending:
            self._connection.sendall(len(data).to_bytes(4, "big") + data)

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None when the engine has hung up."""
        head = self._exactly(4)
        body = None if head is None else self._exactly(int.from_bytes(head, "big"))
        if body is None:
            return None
        message: dict[str, Any] = json.loads(body)
        return message

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            part = self._connection.recv(min(size - len(data), 1 << 20))
            if not part:
                return None
            data += part
        return bytes(data)
