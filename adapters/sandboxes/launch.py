"""How each backend starts a warm parent: the command line, and the settings the parent reads."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from .environment import Environment
from .guest.limits import Limits
from .interpreter_files import GUEST, InterpreterFiles
from .settings import SandboxSettings

# one thread each: the calls themselves run side by side; a fixed seed makes sets of text repeat
_VARIABLES = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",  # one for each thread would take 64 MB of address space
    "MPLBACKEND": "agg",
}
_FLAGS = ("-S", "-s", "-P", "-B", "-m", "guest")  # as guest/__main__.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start."""

    line: tuple[str, ...]
    variables: dict[str, str]


class Backend(Protocol):
    """One way to confine."""

    @property
    def name(self) -> str:
        """As in the settings."""
        ...

    def command(self, preload: Sequence[str], control_fd: int) -> Command:
        """Return how to start a warm parent with some packages imported."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """Namespaces built by bubblewrap: nothing of this machine but read-only libraries is there.

    As the machine's root, no namespace of users is made around the parent: the parent itself
    gives root up, which leaves process limits in force.
    """

    program: str
    settings: SandboxSettings
    environment: Environment
    files: InterpreterFiles
    own_users: bool  # make a namespace of users; needed unless root
    name: str = "bubblewrap"

    def command(self, preload: Sequence[str], control_fd: int) -> Command:
        """Return how to start a warm parent with some packages imported."""
        extra = {"confinement": "namespaces"}
        argument = _argument(self.settings, self.environment, preload, control_fd, extra)
        variables = {**_VARIABLES, "PYTHONPATH": "/runtime:/packages"}
        if self.files.shared_library is not None:
            variables["LD_LIBRARY_PATH"] = "/python/lib"
        line = [self.program, *self._namespaces(), *self._mounts(), "--clearenv"]
        for name, value in variables.items():
            line += ["--setenv", name, value]
        line += ["--chdir", "/tmp", "--", "/python/bin/python3", *_FLAGS, argument]  # noqa: S108
        # bubblewrap's own environment can be read from inside: it gets none at all
        return Command(line=tuple(line), variables={})

    def _namespaces(self) -> list[str]:
        shared = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        users = ["--unshare-user", "--uid", "1000", "--gid", "1000"]
        rights = [] if self.own_users else _ROOT_RIGHTS
        return [
            *(users if self.own_users else []),
            *(*shared, "--unshare-cgroup-try", "--hostname", "sandbox"),
            *("--die-with-parent", "--new-session", *rights),
        ]

    def _mounts(self) -> list[str]:
        files = self.files
        library = f"/python/lib/{files.standard_library.name}"
        # folders made in passing would be closed to everybody but root
        out = [part for folder in _FOLDERS for part in ("--dir", folder)]
        out += ["--ro-bind", str(files.program), "/python/bin/python3"]
        out += ["--ro-bind", str(files.standard_library), library]
        for folder in files.extras:
            out += ["--tmpfs", f"{library}/{folder.name}"]
            out += ["--remount-ro", f"{library}/{folder.name}"]
        if files.shared_library is not None:
            path = files.shared_library
            out += ["--ro-bind", str(path), f"/python/lib/{path.name}"]
        for folder in files.system_libraries:
            if folder.is_symlink():
                out += ["--symlink", os.readlink(folder), str(folder)]
            else:
                out += ["--dir", str(folder.parent), "--ro-bind", str(folder), str(folder)]
        if files.time_zones is not None:
            out += ["--ro-bind", str(files.time_zones), str(files.time_zones)]
        out += ["--ro-bind", str(self.environment.folder), "/packages"]
        out += ["--ro-bind", str(GUEST), "/runtime/guest"]
        for device in ("null", "zero", "urandom", "random"):
            out += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        return [*out, "--proc", "/proc", "--dir", "/tmp", "--remount-ro", "/"]  # noqa: S108


_FOLDERS = (
    "/python", "/python/bin", "/python/lib", "/runtime", "/dev", "/usr", "/usr/lib",
    "/usr/share",
)  # fmt: skip

# what the parent needs to leave root and to make namespaces; gone with root
_ROOT_RIGHTS = [
    part for right in ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID") for part in ("--cap-add", right)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A process of this machine, confined from within: by sandlock, or (unsafe) not at all."""

    settings: SandboxSettings
    environment: Environment
    files: InterpreterFiles
    scratch: Path
    sandlock_folder: Path | None  # where the package lies; None: unsafe

    @property
    def name(self) -> str:
        """As in the settings."""
        return "unsafe" if self.sandlock_folder is None else "sandlock"

    def command(self, preload: Sequence[str], control_fd: int) -> Command:
        """Return how to start a warm parent with some packages imported."""
        extra: dict[str, Any] = {
            "confinement": "none" if self.sandlock_folder is None else "landlock",
            "scratch_root": str(self.scratch),
            "hidden": self._hidden(),
            "readable": [str(path) for path in self._readable()],
            "sandlock_path": str(self.sandlock_folder),
        }
        argument = _argument(self.settings, self.environment, preload, control_fd, extra)
        path = f"{GUEST.parent}:{self.environment.folder}"
        variables = {**_VARIABLES, "PYTHONPATH": path}
        return Command(line=(str(self.files.program), *_FLAGS, argument), variables=variables)

    def _readable(self) -> list[Path]:
        files = self.files
        found = [files.standard_library, self.environment.folder, *files.system_libraries]
        if files.time_zones is not None:
            found.append(files.time_zones)
        return [*found, *(Path("/dev", name) for name in ("null", "zero", "urandom", "random"))]

    def _hidden(self) -> dict[str, str]:
        library = self.files.standard_library
        return {
            str(self.environment.folder): "/packages",
            str(library): f"/python/lib/{library.name}",
            str(GUEST.parent): "/runtime",
        }


def _argument(
    settings: SandboxSettings,
    environment: Environment,
    preload: Sequence[str],
    control_fd: int,
    extra: dict[str, Any],
) -> str:
    limits = Limits(
        memory_mb=settings.memory_mb,
        cpu_s=settings.cpu_limit_s,
        scratch_mb=settings.scratch_mb,
        threads=settings.threads,
        open_files=settings.open_files,
        output_bytes=settings.output_bytes,
        seed=settings.seed,
    )
    data = {
        "control_fd": control_fd,
        "packages": list(environment.packages),
        "preload": list(preload),
        "limits": asdict(limits),
        **extra,
    }
    return json.dumps(data)
