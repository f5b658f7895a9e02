"""A system call filter in the kernel's BPF: an allow-list, everything else fails with EPERM."""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Collection
from itertools import groupby

from .syscalls import ALLOWED, RESTRICTED

_AUDIT_NUMBERS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_ALLOW = 0x7FFF0000
_KILL = 0x80000000  # the whole process
_ERRNO = 0x00050000

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _GREATER, _AT_LEAST = 0x15, 0x25, 0x35  # comparisons with a constant
_X32_BIT = 0x40000000
# from here on "no such call" is the answer: what probes for new calls then falls back to old ones
_NEWEST = 449

_CLONE_THREAD = 0x00010000
_AF_UNIX, _SOCK_STREAM, _SOL_SOCKET = 1, 1, 1
_SOCKET_FACTS = (3, 4, 7, 8, 30, 38, 39)  # type, error, buffers, listening?, protocol, family
_ACCESS_MODE, _TRUNCATE = 0o3, 0o1000
_TERMINAL_AND_PIPE_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# owner, signal, lease and notify send signals; a larger pipe takes kernel memory
_FCNTL_REFUSED = (8, 10, 15, 1024, 1026, 1031)
_PRCTL_ALLOWED = (3, 15, 16, 0x53564D41)  # dumpable?, set and get name, name a mapping


def supported() -> bool:
    """Whether there is a table for this machine."""
    return platform.machine() in _AUDIT_NUMBERS


def program(own_pid: int, *, pretend: Collection[str] = (), cuts: bool = True) -> bytes:
    """Return the filter for a process that will know itself as `own_pid`.

    Args:
        own_pid: The only process that may be sent signals.
        pretend: Allowed calls that are to do nothing and yet report success.
        cuts: Whether files may be cut without being opened for writing, which asks for the right
            to write; no where nothing else keeps a process from cutting other people's files.
    """
    allowed, restricted = _numbers(ALLOWED), _numbers(RESTRICTED)
    if not cuts:
        del allowed["truncate"]
        restricted |= {name: allowed.pop(name) for name in ("open", "openat") if name in allowed}
    pretended = [allowed.pop(name) for name in pretend if name in allowed]
    audit = _AUDIT_NUMBERS[platform.machine()]
    code = [_op(_LOAD, 4), _op(_EQUAL, audit, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, 0)]
    if platform.machine() == "x86_64":
        code += [_op(_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL)]
    for low, high in _ranges(sorted(allowed.values())):
        code += [_op(_AT_LEAST, low, 0, 2), _op(_GREATER, high, 1, 0), _op(_RETURN, _ALLOW)]
    for number in pretended:
        code += [_op(_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO)]
    for name, body in _bodies(own_pid).items():
        if name in restricted:
            # a body ends by itself: skip it as a whole if this is another call
            code += [_op(_EQUAL, restricted[name], 0, len(body)), *body]
    code += [_op(_AT_LEAST, _NEWEST, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]
    return b"".join([*code, _op(_RETURN, _ERRNO | errno.EPERM)])


def _numbers(rows: tuple[tuple[str, int | None, int | None], ...]) -> dict[str, int]:
    """Return name -> number of the calls that this machine has."""
    found = {}
    for name, intel, arm in rows:
        number = intel if platform.machine() == "x86_64" else arm
        if number is not None:
            found[name] = number
    return found


def _bodies(own_pid: int) -> dict[str, list[bytes]]:
    refuse = _op(_RETURN, _ERRNO | errno.EPERM)
    allow = _op(_RETURN, _ALLOW)
    own = [_argument(0), _op(_EQUAL, own_pid, 1, 0), refuse, allow]
    return {
        # threads, never processes; the newer call hides its flags in memory, so it is absent
        "clone": [_argument(0), _op(_AND, _CLONE_THREAD), _op(_EQUAL, 0, 0, 1), refuse, allow],
        "clone3": [_op(_RETURN, _ERRNO | errno.ENOSYS)],
        "kill": own,
        "tgkill": own,
        "prlimit64": [
            _argument(0),
            _op(_EQUAL, 0, 2, 0),
            _op(_EQUAL, own_pid, 1, 0),
            refuse,
            allow,
        ],
        "socketpair": [
            *(_argument(0), _op(_EQUAL, _AF_UNIX, 1, 0), refuse),
            *(_argument(1), _op(_AND, 0xF), _op(_EQUAL, _SOCK_STREAM, 1, 0), refuse, allow),
        ],
        # no address: only what is connected already, which is the own pair
        "sendto": [
            *(_argument(4), _op(_EQUAL, 0, 1, 0), refuse),
            *(_argument(4, high=True), _op(_EQUAL, 0, 1, 0), refuse, allow),
        ],
        # only what is needed to find out what a socket is; the peer is the engine
        "getsockopt": [
            *(_argument(1), _op(_EQUAL, _SOL_SOCKET, 1, 0), refuse),
            *_one_of(2, _SOCKET_FACTS, then=allow, otherwise=refuse),
        ],
        "open": _no_cutting(1, allow, refuse),
        "openat": _no_cutting(2, allow, refuse),
        "ioctl": _one_of(1, _TERMINAL_AND_PIPE_REQUESTS, then=allow, otherwise=refuse),
        "prctl": _one_of(0, _PRCTL_ALLOWED, then=allow, otherwise=refuse),
        "fcntl": _one_of(1, _FCNTL_REFUSED, then=refuse, otherwise=allow),
    }


def _no_cutting(index: int, allow: bytes, refuse: bytes) -> list[bytes]:
    """Refuse to open for reading and yet cut the file, which Linux does where the user may."""
    flags = [_argument(index), _op(_AND, _ACCESS_MODE | _TRUNCATE)]
    return [*flags, _op(_EQUAL, _TRUNCATE, 0, 1), refuse, allow]


def _one_of(index: int, values: tuple[int, ...], *, then: bytes, otherwise: bytes) -> list[bytes]:
    tests = [_op(_EQUAL, value, len(values) - position, 0) for position, value in enumerate(values)]
    return [_argument(index), *tests, otherwise, then]


def _argument(index: int, *, high: bool = False) -> bytes:
    return _op(_LOAD, 16 + 8 * index + (4 if high else 0))


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    """Join consecutive numbers: [1, 2, 3, 7] -> [(1, 3), (7, 7)]."""
    joined = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        joined.append((run[0], run[-1]))
    return joined
