"""The warm parent's loop: forks a child for each order, and tells the engine how each one ended.

Orders come and news go over one socket that no child holds, so a child can forge neither. An order
that forks carries the child's own socket with it.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import select
import signal
import socket
from dataclasses import dataclass
from typing import Any

from .channel import Channel
from .confinement import SCRATCH_FILES, Confinement
from .scratch import is_full, remove
from .work import Worker, answer_then_die

_LONGEST_ORDER = 4_096
_LOOK_S = 0.05  # how often scratch folders on a disk are measured
_SCRATCH_INSIDE = "/tmp"  # noqa: S108 - a mount of the child's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A living child."""

    number: int  # the engine's name for it
    pid: int
    pidfd: int
    scratch: str | None  # to be removed after it; None: vanishes by itself


class Nursery:
    """Keeps the children of one warm parent."""

    def __init__(
        self, control: socket.socket, confinement: Confinement, packages: tuple[str, ...]
    ) -> None:
        self._control = control
        self._confinement = confinement
        self._packages = packages
        self._children: dict[int, Child] = {}
        self._by_pidfd: dict[int, Child] = {}
        self._measured = bool(confinement.scratch_root)  # a mount of its own has its own limit
        self._frozen: set[int] = set()  # they write nothing
        self._troubles: dict[int, str] = {}
        self._poll = select.epoll()
        self._poll.register(control.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Serve until the engine hangs up, then end every child."""
        gc.collect()
        gc.freeze()  # children that collect garbage would copy all that the parent imported
        self._tell({"ready": self._confinement.baseline_bytes})
        try:
            while True:
                for fd, _ in self._poll.poll(_LOOK_S if self._measured else None):
                    if fd != self._control.fileno():
                        self._bury(self._by_pidfd[fd])
                    elif not self._obey():
                        return
                self._measure()
        finally:
            for child in list(self._children.values()):
                self._signal(child, signal.SIGKILL)
                self._bury(child, tell=False)

    def _obey(self) -> bool:
        """Follow one order. Returns whether the engine is still there."""
        try:
            data, extra, _, _ = self._control.recvmsg(_LONGEST_ORDER, socket.CMSG_SPACE(4))
        except ConnectionError:
            return False
        if not data:
            return False
        order = json.loads(data)
        for action in ("kill", "stop", "go"):
            if child := self._children.get(order.get(action, -1)):
                self._signal(child, _SIGNALS[action])
                (self._frozen.add if action == "stop" else self._frozen.discard)(child.number)
        if "fork" in order:
            fds = array.array("i")
            fds.frombytes(extra[0][2][: fds.itemsize])
            self._fork(order["fork"], fds[0])
        return True

    def _measure(self) -> None:
        limits = self._confinement.limits
        for child in self._children.values() if self._measured else ():
            if child.number in self._frozen:
                continue
            size = limits.scratch_mb << 20
            if is_full(child.scratch or "", child.pid, size_bytes=size, files=SCRATCH_FILES):
                self._troubles[child.number] = f"its files took more than {limits.scratch_mb} MB"
                self._signal(child, signal.SIGKILL)

    def _fork(self, number: int, connection_fd: int) -> None:
        try:
            scratch = self._scratch_for(number)
            pid = self._confinement.fork()
        except OSError as error:
            os.close(connection_fd)
            self._tell({"ended": number, "status": None, "error": f"fork: {error}"})
            return
        if pid == 0:
            self._be_child(connection_fd, scratch or _SCRATCH_INSIDE)
        os.close(connection_fd)
        pidfd = os.pidfd_open(pid)
        child = Child(number=number, pid=pid, pidfd=pidfd, scratch=scratch)
        self._children[number] = self._by_pidfd[pidfd] = child
        self._poll.register(pidfd, select.EPOLLIN)

    def _scratch_for(self, number: int) -> str | None:
        if not self._confinement.scratch_root:
            return None
        path = os.path.join(self._confinement.scratch_root, str(number))
        os.mkdir(path, 0o700)
        return path

    def _be_child(self, connection_fd: int, scratch: str) -> None:
        """Never returns."""
        try:
            _close_all_but(connection_fd, self._confinement)
            channel = Channel(socket.socket(fileno=connection_fd))
            try:
                self._confinement.apply(scratch)
            except BaseException as error:
                channel.send({"broken": f"{type(error).__name__}: {error}"})
                raise
            channel.send({"ready": True})
            hidden = {**self._confinement.hidden, scratch: _SCRATCH_INSIDE}
            worker = Worker(channel, self._confinement.limits, self._packages, hidden)
            answer_then_die(worker)
        finally:
            os._exit(1)

    def _bury(self, child: Child, *, tell: bool = True) -> None:
        self._poll.unregister(child.pidfd)
        status = os.waitpid(child.pid, 0)[1]
        os.close(child.pidfd)
        del self._children[child.number]
        self._frozen.discard(child.number)
        del self._by_pidfd[child.pidfd]
        if child.scratch is not None:
            # what cannot be removed here goes with the whole folder when the sandbox closes
            with contextlib.suppress(OSError):
                remove(child.scratch)
        if tell:
            trouble = self._troubles.pop(child.number, "")
            self._tell({"ended": child.number, "status": status, "error": trouble})

    @staticmethod
    def _signal(child: Child, number: signal.Signals) -> None:
        signal.pidfd_send_signal(child.pidfd, number)

    def _tell(self, news: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(news).encode())
        except ConnectionError:
            return  # the next order will say that the engine has gone


_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "go": signal.SIGCONT}


def _close_all_but(connection_fd: int, confinement: Confinement) -> None:
    """Close what belongs to the parent and to other children."""
    kept = sorted({0, 1, 2, connection_fd, *confinement.needed_fds()})
    for below, above in zip(kept, [*kept[1:], 1 << 20], strict=True):
        os.closerange(below + 1, above)
