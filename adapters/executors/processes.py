"""Workers as processes of this machine, each on a socket of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from subprocess import DEVNULL
from typing import cast

import anyio
from anyio.abc import Process

from .bench import Setup
from .member import Link, Member
from .wire import Frames, Packed, frame

CLOSE_S = 5.0  # what a worker gets to end its sandbox
PROGRAM = "funcforge.adapters.executors.process"


class Pipe(asyncio.Protocol):
    """Messages both ways over a stream socket. What is sent in one turn of the loop goes at once.

    Args:
        receive: Takes each message.
        lost: Told when the other side is gone.
    """

    def __init__(self, receive: Callable[[Packed], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._frames = Frames()
        self._waiting: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(
        cls, end: socket.socket, receive: Callable[[Packed], None], lost: Callable[[], None]
    ) -> Pipe:
        """Take over one end of a socket pair."""
        end.setblocking(False)
        _, pipe = await asyncio.get_running_loop().create_unix_connection(
            lambda: cls(receive, lost), sock=end
        )
        return pipe

    def send(self, message: Packed) -> None:
        """Queue a message. Sent to nobody once the other side is gone."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(frame(message))

    def _flush(self) -> None:
        data, self._waiting = b"".join(self._waiting), []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Say no more, and hear no more."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has another base class

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            self._receive(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()


class Processes:
    """Starts worker processes. They have the environment, the folder and the stderr of this one."""

    async def start(self, setup: Setup, member: Member) -> Link:
        """Start a process and tell it its setup."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                process = await anyio.open_process(
                    [sys.executable, "-m", PROGRAM, str(theirs.fileno())],
                    stdin=DEVNULL,
                    stdout=_output(),
                    stderr=None,
                    pass_fds=[theirs.fileno()],
                    # Ctrl-C is the run's own to handle; this one ends when its socket does
                    start_new_session=True,
                )
            link = _ProcessLink(process, member)
            try:
                await link.connect(ours)
            except BaseException:
                await link.aclose()
                raise
        except BaseException:
            ours.close()
            raise
        link.send(("setup", *setup.to_plain()))
        return link


def _output() -> int:
    """Return where a worker's stdout goes: ours is for results only."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # an application may have none
        return DEVNULL


class _ProcessLink:
    """A worker process and the socket to it."""

    def __init__(self, process: Process, member: Member) -> None:
        self._process = process
        self._member = member
        self._pipe: Pipe | None = None

    async def connect(self, end: socket.socket) -> None:
        """Begin to listen."""
        self._pipe = await Pipe.connect(end, self._member.receive, self._lost)

    def send(self, message: Packed) -> None:
        """Send to the worker."""
        if self._pipe is not None:
            self._pipe.send(message)

    def _lost(self) -> None:
        self._member.lose("ended")

    async def aclose(self) -> None:
        """Hang up, which ends the worker; kill it if it does not."""
        with anyio.CancelScope(shield=True):
            if self._pipe is not None:
                self._pipe.close()
            if not self._member.hangs:
                with anyio.move_on_after(CLOSE_S):
                    await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._process.aclose()
        self._member.lose("ended")
        if not self._member.hangs:
            self._member.gone = describe_end(self._process.returncode)


def describe_end(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None or code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def useful_workers(in_flight: int) -> int:
    """Return as many workers as help: one for each core that this process may use.

    A worker is busy for milliseconds in each call and waits for the rest, so one core is one
    worker's; more would only take turns. The run's process needs the least of all. No more workers
    than episodes in flight would ever have one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, in_flight))
