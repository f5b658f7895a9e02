"""The worker as an actor of a Ray cluster: frames in by `deliver`, frames out by `collect`."""

from __future__ import annotations

import asyncio
import platform
from importlib.metadata import version

from ..loop import settle_in
from .bench import Setup
from .wire import Frames, Packed, frame
from .worker import Worker


class Actor:
    """Lives in a process of Ray's, with an event loop there. Ray makes a remote class of it."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._waiting: list[bytes] = []
        self._said = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._worker = Worker(self._send)

    async def installed(self) -> dict[str, str]:
        """Return what is installed here. The first call: it returns once there is a process."""
        settle_in()  # Ray started this process for the actor alone
        return installed()

    async def deliver(self, data: bytes) -> None:
        """Take messages of the driver. One delivery is out at a time, so they come in order."""
        for message in self._frames.feed(data):
            if message[0] == "setup":
                setup = Setup.from_plain(tuple(message[1:]))
                self._work = asyncio.create_task(self._worker.serve(setup))
            else:
                self._worker.receive(message)

    async def collect(self) -> bytes:
        """Return all messages for the driver, once there are any."""
        while not self._waiting:
            await self._said.wait()
        self._said.clear()
        data, self._waiting = b"".join(self._waiting), []
        return data

    async def end(self) -> None:
        """Close the sandbox and all else; the process may be killed then."""
        self._worker.stop()
        if self._work is not None:
            await asyncio.wait([self._work])

    def _send(self, message: Packed) -> None:
        self._waiting.append(frame(message))
        self._said.set()


def installed() -> dict[str, str]:
    """Return the versions that driver and workers must agree on."""
    return {"Python": platform.python_version(), "funcforge": version("funcforge")}
