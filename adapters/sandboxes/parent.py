"""The engine's hold on one warm parent in the sandbox, and on its children."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections import deque
from collections.abc import Mapping
from subprocess import DEVNULL, PIPE
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import Process, TaskGroup

from ...engine.errors import InvalidReply, SandboxError
from .launch import Backend
from .replies import clean_text, read_message

_START_S = 120.0  # importing pandas and scipy on a busy machine
_CHILD_START_S = 30.0
_CLOSE_S = 5.0
_LONGEST_NEWS = 65_536
_OVERHEAD_BYTES = 262_144  # of the messages beside a result of the greatest length
_MESSAGE_BYTES = 128  # that a message counts for beside its text: reading it costs time


class Child:
    """A process that runs code of a model: one call, or the blocks of one episode."""

    def __init__(self, parent: Parent, number: int, connection: socket.socket) -> None:
        self._parent = parent
        self.connection = connection
        self.number = number
        self.ended = anyio.Event()
        self._asked = 0  # requests sent
        self.status: int | None = None  # as of waitpid; None: unknown
        self.trouble = ""  # why it could not even start

    async def ready(self) -> None:
        """Wait until the child is confined.

        Raises:
            SandboxError: It never was.
        """
        message: dict[str, Any] | None = None
        with anyio.move_on_after(_CHILD_START_S):
            try:
                message = await self._message(_OVERHEAD_BYTES)
            except InvalidReply as error:
                raise SandboxError(f"a child of the sandbox is broken: {error}") from error
            if message is None:
                await self.ended.wait()
        if message is None and not self.ended.is_set():
            self._parent.broken = True  # it does not answer: the next child gets another one
        if not message or not message.get("ready"):
            reason = (message or {}).get("broken") or self.trouble or "it did not start"
            raise SandboxError(f"the sandbox could not confine a child: {reason}")

    def spell(self, request: Mapping[str, Any]) -> bytes:
        """Return the next request as it is sent. Its number tells its answer from a forged one.

        Raises:
            ValueError, TypeError, RecursionError: It has no form in JSON.
        """
        body = json.dumps({**request, "number": self._asked + 1}).encode("ascii")
        self._asked += 1
        return len(body).to_bytes(4, "big") + body

    async def send(self, request: bytes) -> None:
        """Send one request. A child that hung up is noticed when its answer is awaited."""
        data = memoryview(request)
        while data:
            try:
                data = data[self.connection.send(data) :]
            except BlockingIOError:
                await anyio.wait_writable(self.connection)
            except OSError:
                return

    async def answer(self, stdout: list[str], limit: int) -> Any:
        """Wait for the answer to a request. What is printed meanwhile is added to `stdout`.

        Args:
            stdout: Pieces of output.
            limit: Of output and of the answer each, in bytes.

        Returns:
            The answer, untrusted, or None when the child ended without one.

        Raises:
            InvalidReply: The child sent something else than agreed, or too much.
        """
        left = 8 * limit + _OVERHEAD_BYTES  # a character takes up to six bytes in JSON
        while True:
            message = await self._message(left)
            if message is None:
                return None
            if "done" in message:
                if message.get("number") != self._asked:
                    raise InvalidReply("an answer to another request")
                return message["done"]
            text = message.get("out")
            if not isinstance(text, str):
                raise InvalidReply("a message that is neither output nor an answer")
            left -= 6 * len(text) + _MESSAGE_BYTES
            stdout.append(clean_text(text))
            # a flood always has the next piece ready: everybody else must get a turn, too
            await anyio.lowlevel.checkpoint()

    async def discard(self) -> None:
        """End the child, if it has not ended. Safe under cancellation."""
        self.connection.close()
        if not self.ended.is_set():
            await self._parent.order({"kill": self.number})

    async def freeze(self) -> None:
        """Stop every thread of the child."""
        await self._parent.order({"stop": self.number})

    async def thaw(self) -> None:
        """Let the child go on."""
        await self._parent.order({"go": self.number})

    async def _message(self, limit: int) -> dict[str, Any] | None:
        head = await self._exactly(4)
        if head is None:
            return None
        size = int.from_bytes(head, "big")
        if size > limit:
            raise InvalidReply(f"a message of {size} bytes, where {max(limit, 0)} are allowed")
        body = await self._exactly(size)
        return None if body is None else read_message(body)

    async def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            try:
                part = self.connection.recv(size - len(data))
            except BlockingIOError:
                await anyio.wait_readable(self.connection)
                continue
            except OSError:
                return None
            if not part:
                return None
            data += part
        return bytes(data)


class Parent:
    """A warm parent: a process with packages imported that forks a confined child per call."""

    def __init__(self, backend: Backend, preload: tuple[str, ...]) -> None:
        self.preload = preload
        self.broken = False
        self.gone = anyio.Event()  # set when the process is known to have ended
        self.used_at_s = 0.0
        self._backend = backend
        self._children: dict[int, Child] = {}
        self._spares: deque[Child] = deque()
        self._numbers = 0
        self._process: Process | None = None
        self._control: socket.socket | None = None
        self._order = anyio.Lock()

    @property
    def busy(self) -> int:
        """Children in use."""
        return len(self._children) - len(self._spares)

    async def start(self, tasks: TaskGroup) -> None:
        """Start the process, and listen to it in `tasks` for as long as it lives.

        Raises:
            SandboxError: It did not get ready; the message holds what it said.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._control = ours
        try:
            with theirs:
                command = self._backend.command(self.preload, theirs.fileno())
                self._process = await anyio.open_process(
                    command.line,
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=PIPE,
                    env=command.variables,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    cwd="/",
                )
            news = None
            with anyio.move_on_after(_START_S):
                news = await self._news()
            if news is None or "ready" not in news:
                raise SandboxError(f"the sandbox did not start: {await self._complaint()}")
        except OSError as error:
            await self.aclose()
            raise SandboxError(f"the sandbox did not start: {error}") from error
        except BaseException:
            await self.aclose()
            raise
        tasks.start_soon(self._listen)

    async def child(self, spares: int) -> Child:
        """Return a child that nobody uses yet, and have `spares` more made ready.

        Raises:
            SandboxError: The parent is broken.
        """
        chosen = self._spares.popleft() if self._spares else await self._fork()
        try:
            while len(self._spares) < spares and not self.broken:
                self._spares.append(await self._fork())
        except BaseException:
            await chosen.discard()
            raise
        return chosen

    async def order(self, order: dict[str, Any], fd: int | None = None) -> None:
        """Send an order to the parent. Safe under cancellation; lost if the parent is."""
        data = json.dumps(order).encode("ascii")
        with anyio.CancelScope(shield=True):
            async with self._order:
                while self._control is not None and not self.broken:
                    try:
                        socket.send_fds(self._control, [data], [] if fd is None else [fd])
                        return
                    except BlockingIOError:
                        await self._writable()
                    except OSError:
                        self.broken = True

    async def aclose(self) -> None:
        """End the parent and, with it, every child. Safe under cancellation."""
        self.broken = True
        with anyio.CancelScope(shield=True):
            control, self._control = self._control, None
            if control is not None:
                anyio.notify_closing(control)
                control.close()
            if self._process is not None:
                with anyio.move_on_after(_CLOSE_S):
                    await self._process.wait()
                if self._process.returncode is None:
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.aclose()
        self._bury_all()

    async def _fork(self) -> Child:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        self._numbers += 1
        child = Child(self, self._numbers, ours)
        self._children[child.number] = child
        try:
            with theirs:
                await self.order({"fork": child.number}, theirs.fileno())
        except BaseException:
            ours.close()  # a child that was forked after all then ends by itself
            raise
        if self.broken:
            ours.close()
            self._bury_all()
            raise SandboxError("the sandbox's warm parent has ended")
        return child

    async def _listen(self) -> None:
        while (news := await self._news()) is not None:
            child = self._children.pop(news.get("ended", -1), None)
            if child is not None:
                child.status = news.get("status")
                child.trouble = str(news.get("error", ""))
                child.ended.set()
        self.broken = True
        self.gone.set()
        self._bury_all()

    async def _news(self) -> dict[str, Any] | None:
        while self._control is not None:
            try:
                data = self._control.recv(_LONGEST_NEWS)
            except BlockingIOError:
                try:
                    await anyio.wait_readable(self._control)
                except anyio.ClosedResourceError:
                    return None
                continue
            except OSError:
                return None
            return read_message(data) if data else None
        return None

    async def _writable(self) -> None:
        if self._control is not None:
            try:
                await anyio.wait_writable(self._control)
            except anyio.ClosedResourceError:
                return

    async def _complaint(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        said = b""
        with anyio.move_on_after(2):
            async for part in self._process.stderr:
                said = (said + part)[-2_000:]
        return said.decode("utf-8", "replace").strip() or "it said nothing"

    def _bury_all(self) -> None:
        children, self._children = self._children, {}
        for child in children.values():
            child.ended.set()
        while self._spares:
            self._spares.popleft().connection.close()
