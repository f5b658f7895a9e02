"""What can be set about a sandbox."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal, get_args

from ...engine.errors import ConfigError

BackendName = Literal["auto", "bubblewrap", "sandlock", "unsafe"]

DEFAULT_PACKAGES = ("numpy", "pandas", "scipy", "sympy")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Backend, packages and the bounds of a call.

    Raises:
        ConfigError: A value is out of range.
    """

    backend: str = "auto"  # auto: the best that works here; "unsafe" only by name
    packages: tuple[str, ...] = DEFAULT_PACKAGES  # import names allowed beside the standard library
    wall_s: float = 10.0  # of a call, or of one block in an interpreter
    cpu_s: int | None = None  # computing time of a call; None: as long as the wall clock
    memory_mb: int = 512  # on top of what the preloaded packages take
    scratch_mb: int = 64  # files of a call, in all
    output_bytes: int = 262_144  # of stdout, and of a result, each
    threads: int = 32  # of a call; processes it may never start
    open_files: int = 128
    parallel: int | None = None  # calls running at once; None: one for each core
    interpreters: int = 256  # alive at once; an episode that needs one more waits for its turn
    seed: int = 0  # of `random` and numpy's global generator, the same for each call

    def __post_init__(self) -> None:
        names = get_args(BackendName)
        if self.backend not in names:
            allowed = ", ".join(names)
            raise ConfigError(f"is {self.backend!r}; allowed are {allowed}", key="sandbox.backend")
        for package in self.packages:
            if not package.isidentifier():
                raise ConfigError(
                    f"{package!r} is no import name, such as numpy", key="sandbox.packages"
                )
        for name in (
            "wall_s",
            "memory_mb",
            "scratch_mb",
            "output_bytes",
            "threads",
            "interpreters",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"is {value!r}; must be above 0", key=f"sandbox.{name}")
        if self.open_files < 16:
            raise ConfigError("must be at least 16", key="sandbox.open_files")

    @property
    def cores(self) -> int:
        """Calls that may run at once."""
        return self.parallel or len(os.sched_getaffinity(0))

    @property
    def cpu_limit_s(self) -> int:
        """Whole seconds of computing time, as the kernel counts them."""
        return self.cpu_s if self.cpu_s is not None else math.ceil(self.wall_s) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReport:
    """What a backend would give on this machine."""

    name: str
    works: bool
    reason: str  # why not; or what it gives
    fix: str = ""  # the command that makes it work
