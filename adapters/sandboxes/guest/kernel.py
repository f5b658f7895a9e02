"""The few kernel calls that Python 3.11 has no name for."""

from __future__ import annotations

import ctypes
import os
import struct

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _check(_libc.unshare(flags), "unshare")


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


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _check(_libc.prctl(1, 9, 0, 0, 0), "PR_SET_PDEATHSIG")


def be_readable_to_self() -> None:
    """Own the files in /proc/self again after a change of identity."""
    _check(_libc.prctl(4, 1, 0, 0, 0), "PR_SET_DUMPABLE")


def drop_capabilities() -> None:
    """Give every capability up. None comes back: programs cannot be started."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(header, nothing), "capset")


def filter_calls(program: bytes) -> None:
    """Install a system call filter for the calling thread and all that it starts, for good."""
    _check(_libc.prctl(38, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _check(_libc.prctl(22, 2, head, 0, 0), "PR_SET_SECCOMP")


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
