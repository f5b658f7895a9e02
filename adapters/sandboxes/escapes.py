"""Attempts to escape. Never imported here: its text is run inside the sandbox to prove it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def escapes() -> list[str]:
    """Return the names of the attempts that succeeded."""
    attempts: dict[str, Callable[[], object]] = {
        "read a file of the machine": lambda: Path("/etc/passwd").read_bytes(),
        "list the home folders": lambda: os.listdir("/root") or os.listdir("/home"),
        "read another process": lambda: Path("/proc/1/environ").read_bytes(),
        "write outside of the scratch": _create,
        "write to the packages": lambda: os.open(os.__file__, os.O_WRONLY | os.O_APPEND),
        "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "open a Unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "start a process": _fork,
        "start a program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "signal everything": lambda: _signal(-1),
        "signal the parent": lambda: _signal(os.getppid() or 2),
        "keep an inherited descriptor": _inherited,
        "see variables of the engine": lambda: 1 / len(os.environ),
    }
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _create() -> None:
    path = "/var/tmp/funcforge-escaped"  # noqa: S108 - not ours to write to
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    os.unlink(path)


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _signal(pid: int) -> None:
    os.kill(pid, 0)  # signal 0 only asks whether one may


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except Exception:
        return False
    return True


def _inherited() -> None:
    found = []
    for fd in range(3, 1024):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    if len(found) <= 1:  # the own reply
        raise OSError("nothing inherited")
