"""How much one call may use."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Any

_MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one process in the sandbox."""

    memory_mb: int  # on top of what the preloaded parent has mapped
    cpu_s: int  # of a call; an interpreter is bounded by the wall clock of each block
    scratch_mb: int
    threads: int
    open_files: int
    output_bytes: int  # of stdout, and of a result
    seed: int

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Limits:
        """Read what the engine sends."""
        return cls(**data)


def apply_limits(limits: Limits, *, baseline_bytes: int, other_threads: int) -> None:
    """Bound the calling process, for good.

    Args:
        limits: What it may use.
        baseline_bytes: What the parent has mapped, which does not count.
        other_threads: Threads that the kernel counts against this process though they are not
            its own: it counts those of a user within a namespace of users.
    """
    memory = baseline_bytes + limits.memory_mb * _MB
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: limits.scratch_mb * _MB,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_NPROC: other_threads + limits.threads,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 64,
        resource.RLIMIT_STACK: 8 * _MB,
    }
    for bound, value in bounds.items():
        hard = resource.getrlimit(bound)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(bound, (value, value))


def limit_cpu(limits: Limits) -> None:
    """Bound the computing time of one call. Kills: the hard limit is the soft one."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s))


def mapped_bytes() -> int:
    """Return the size of this process's address space. Needs /proc."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def threads_of_machine() -> int:
    """Return how many threads run on the whole machine. Needs /proc."""
    with open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[3].partition("/")[2])
