"""The few kernel calls that Python 3.11 has no name for."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_HUGE, _COLLAPSE = 2 << 20, 25
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8

_libc = ctypes.CDLL(None, use_errno=True)
_holding_the_interpreter = ctypes.PyDLL(None, use_errno=True)

# made here and not at each use: a type of array takes a while to make
_CAPABILITY_VERSION_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _check(_libc.unshare(flags), "unshare")


def fork() -> int:
    """Fork, and leave out what Python does after a fork for programs with threads.

    The parent has a single thread and holds no lock, so there is nothing to repair in the child,
    and chance is seeded before each call. `os.fork` costs the child 1.1 ms of computing where
    this costs 0.1 ms.
    """
    child = int(_holding_the_interpreter.fork())
    if child < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"fork: {os.strerror(code)}")
    return child


def join(namespace_fd: int, flags: int) -> None:
    """Enter a namespace, or have later children enter it."""
    _check(_libc.setns(namespace_fd, flags), "setns")


def mount_scratch(path: str, *, size_bytes: int, files: int) -> None:
    """Mount an empty file system that lives in memory and vanishes with its namespace."""
    options = f"size={size_bytes},nr_inodes={files},mode=0700"
    flags = _NO_SETUID | _NO_DEVICES | _NO_PROGRAMS
    _check(
        _libc.mount(b"scratch", path.encode(), b"tmpfs", flags, options.encode()), f"mount {path}"
    )


def hide(path: str) -> None:
    """Cover a folder with an empty one that nobody can write to."""
    options = b"size=4k,nr_inodes=1,mode=0555"
    _check(_libc.mount(b"empty", path.encode(), b"tmpfs", _READ_ONLY, options), f"hide {path}")


def collapse() -> None:
    """Have the kernel put this process's memory into huge pages, as far as it can.

    A fork copies one entry for each page, and the end of the child clears it: with sympy loaded
    both take 4.3 ms in small pages and 2.6 ms in huge ones. What a child writes to is copied in
    small pages as ever. Kernels before 6.1 refuse, which costs nothing but the time.

    Source: madvise(2), MADV_COLLAPSE.
    """
    for start, end in _own_memory():
        for at in range(-(-start // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE):
            _libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(_HUGE), _COLLAPSE)


def _own_memory() -> Iterator[tuple[int, int]]:
    """Yield where the memory lies that belongs to no file. Needs /proc."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as file:
        lines = file.read().splitlines()
    for line in lines:
        span, rights, _, _, inode, *_ = line.split()
        if rights == "rw-p" and inode == "0":
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _check(_libc.prctl(1, 9, 0, 0, 0), "PR_SET_PDEATHSIG")


def be_readable_to_self() -> None:
    """Own the files in /proc/self again after a change of identity."""
    _check(_libc.prctl(4, 1, 0, 0, 0), "PR_SET_DUMPABLE")


def drop_capabilities() -> None:
    """Give every capability up. None comes back: programs cannot be started."""
    _check(_libc.capset(_CAPABILITY_VERSION_3, _NO_CAPABILITIES), "capset")


class CallFilter:
    """A system call filter in the form that the kernel takes. Made once, used by each child."""

    def __init__(self, program: bytes) -> None:
        self._program = ctypes.create_string_buffer(program, len(program))
        address = ctypes.addressof(self._program)
        self._head = struct.pack("HxxxxxxP", len(program) // 8, address)

    def install(self) -> None:
        """Filter the calling thread, and all that it starts, for good."""
        _check(_libc.prctl(38, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
        _check(_libc.prctl(22, 2, self._head, 0, 0), "PR_SET_SECCOMP")


def fix_addresses() -> bool:
    """Ask for the same memory layout at each start. Returns whether a new start is needed.

    Sets of objects that hash by address then come out in the same order in every run.
    """
    fixed = 0x0040000
    current = _libc.personality(0xFFFFFFFF)
    if current < 0 or current & fixed:
        return False
    return bool(_libc.personality(current | fixed) >= 0)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
