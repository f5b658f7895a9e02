"""How a process of the sandbox is cut off: once for the warm parent, again for each child."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import kernel, seccomp
from .limits import Limits, apply_limits, mapped_bytes, threads_of_machine

SCRATCH_FILES = 1_000
_NOBODY = 65534
_USER_INSIDE = 1000
_MB = 1 << 20

_LANDLOCK_GUARDS_CUTS = 3  # version of its interface
# modes and times of files are beyond Landlock; copying a file within the scratch sets them, though
_NOT_IN_LANDLOCK = ("chmod", "fchmod", "fchmodat", "utime", "utimes", "utimensat")


@dataclass(kw_only=True)
class Confinement:
    """One way to cut a process off. What is prepared in the parent is applied in each child."""

    limits: Limits
    baseline_bytes: int = 0
    other_threads: int = 0  # that the kernel may count as the child's: those of the same user
    scratch_root: str = ""
    hidden: dict[str, str] = field(default_factory=dict)  # real path -> the one shown

    def prepare(self) -> None:
        """Finish the parent, when everything is imported."""
        kernel.collapse()
        self.baseline_bytes = mapped_bytes()
        if self.scratch_root:  # shared by the parents, whose children have the same numbers
            self.scratch_root = tempfile.mkdtemp(dir=self.scratch_root)

    def needed_fds(self) -> tuple[int, ...]:
        """Return the parent's descriptors that `apply` uses, and closes."""
        return ()

    def fork(self) -> int:
        """Fork a child."""
        self.other_threads = threads_of_machine()  # not all are the user's, but none is missed
        return kernel.fork()

    def apply(self, scratch: str) -> None:
        """Cut the calling child off, for good. Its working folder becomes its scratch."""
        os.chdir(scratch)
        apply_limits(
            self.limits, baseline_bytes=self.baseline_bytes, other_threads=self.other_threads
        )


@dataclass(kw_only=True)
class Namespaces(Confinement):
    """Own users, processes, mounts and IPC for each child, inside what bubblewrap has built.

    Source: user_namespaces(7), pid_namespaces(7). The parent is the first process of its own
    namespaces: it can then return to its own process namespace after each fork, and the kernel
    ends everything in them when it dies.
    """

    own_pids_fd: int = -1
    proc_fd: int = -1
    call_filter: kernel.CallFilter | None = None

    def enter(self) -> None:
        """Become the first process of new namespaces. Only the child of a fork returns."""
        user, group = _leave_root()
        kernel.unshare(kernel.NEW_USER | kernel.NEW_PIDS | kernel.NEW_MOUNTS | kernel.NEW_IPC)
        _map_user("/proc/self", user, group)
        child = os.fork()
        if child:
            os.closerange(3, 1 << 16)  # a held control socket would hide the child's death
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
        kernel.die_with_parent()
        self.own_pids_fd = os.open("/proc/self/ns/pid", os.O_RDONLY)

    def prepare(self) -> None:
        super().prepare()
        self.call_filter = kernel.CallFilter(seccomp.program(own_pid=1))
        self.proc_fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        kernel.hide("/proc")

    def needed_fds(self) -> tuple[int, ...]:
        return self.proc_fd, self.own_pids_fd

    def fork(self) -> int:  # its own namespace of users has no other threads
        kernel.unshare(kernel.NEW_PIDS)
        child = kernel.fork()
        if child:
            kernel.join(self.own_pids_fd, kernel.NEW_PIDS)
        return child

    def apply(self, scratch: str) -> None:
        kernel.unshare(kernel.NEW_USER | kernel.NEW_MOUNTS | kernel.NEW_IPC)
        _map_user("self", _USER_INSIDE, _USER_INSIDE, proc_fd=self.proc_fd)
        size = self.limits.scratch_mb * _MB
        kernel.mount_scratch(scratch, size_bytes=size, files=SCRATCH_FILES)
        os.close(self.proc_fd)
        os.close(self.own_pids_fd)
        super().apply(scratch)
        kernel.drop_capabilities()
        assert self.call_filter is not None
        self.call_filter.install()


@dataclass(kw_only=True)
class Landlock(Confinement):
    """No namespaces: Landlock for files, the system call filter for everything else.

    The names, sizes and times of files outside remain visible; their content does not.
    """

    readable: tuple[str, ...] = ()
    confine: Callable[[Any], None] | None = None
    policy: type | None = None
    degraded: tuple[Any, ...] = ()
    guards_cuts: bool = False  # whether Landlock keeps files from being cut, since Linux 6.2

    def load(self, site_packages: str) -> None:
        """Import sandlock, which lies outside of what the children may import."""
        sys.path.insert(0, site_packages)
        import sandlock  # type: ignore[import-untyped, unused-ignore]

        sys.path.remove(site_packages)
        self.confine, self.policy = sandlock.confine, sandlock.Sandbox
        self.guards_cuts = sandlock.landlock_abi_version() >= _LANDLOCK_GUARDS_CUTS
        # an older kernel lacks some; the system call filter covers signals, sockets and devices
        self.degraded = tuple(sandlock.Protection)

    def apply(self, scratch: str) -> None:
        kernel.die_with_parent()
        os.setsid()
        assert self.policy is not None
        assert self.confine is not None
        readable = [path for path in self.readable if Path(path).exists()]
        self.confine(
            self.policy(
                fs_readable=readable, fs_writable=[scratch], allow_degraded=list(self.degraded)
            )
        )
        super().apply(scratch)
        kernel.drop_capabilities()
        program = seccomp.program(
            own_pid=os.getpid(), pretend=_NOT_IN_LANDLOCK, cuts=self.guards_cuts
        )
        kernel.CallFilter(program).install()


def _leave_root() -> tuple[int, int]:
    """Stop being root where possible: process limits do not bind it."""
    if os.getuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        except OSError:  # not the machine's root, but one of a container's namespace
            return os.getuid(), os.getgid()
        kernel.be_readable_to_self()
    return os.getuid(), os.getgid()


def _map_user(folder: str, user: int, group: int, *, proc_fd: int | None = None) -> None:
    maps = (
        ("setgroups", "deny"),  # required before an unprivileged process may map its group
        ("uid_map", f"{_USER_INSIDE} {user} 1"),
        ("gid_map", f"{_USER_INSIDE} {group} 1"),
    )
    for name, text in maps:
        fd = os.open(f"{folder}/{name}", os.O_WRONLY, dir_fd=proc_fd)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
