"""Which files of this machine a Python inside the sandbox needs to start."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...engine.errors import SandboxUnavailable

GUEST = Path(__file__).parent / "guest"
_TIME_ZONES = Path("/usr/share/zoneinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterFiles:
    """The engine's own Python, without what is installed into it."""

    program: Path
    standard_library: Path
    shared_library: Path | None  # libpython, where the program does not hold it
    extras: tuple[Path, ...]  # folders of third-party packages inside the standard library's
    system_libraries: tuple[Path, ...]
    time_zones: Path | None

    @classmethod
    def of_this_process(cls) -> InterpreterFiles:
        """Find them.

        Raises:
            SandboxUnavailable: This user may not read the program.
        """
        program = _program()
        library = Path(sysconfig.get_path("stdlib"))
        shared = Path(
            sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or ""
        )
        linked = bool(sysconfig.get_config_var("Py_ENABLE_SHARED")) and shared.is_file()
        return cls(
            program=program,
            standard_library=library,
            shared_library=shared if linked else None,
            extras=tuple(
                library / name
                for name in ("site-packages", "dist-packages")
                if (library / name).is_dir()
            ),
            system_libraries=tuple(_system_libraries()),
            time_zones=_TIME_ZONES if _TIME_ZONES.is_dir() else None,
        )


def _program() -> Path:
    for name in (getattr(sys, "_base_executable", None), sys.executable, "/proc/self/exe"):
        path = os.path.realpath(name) if name else ""
        if path and os.access(path, os.R_OK | os.X_OK):
            return Path(path)
    raise SandboxUnavailable(
        f"the Python that runs funcforge, {sys.executable}, cannot be read by this user; "
        "use one that is installed for everybody"
    )


def _system_libraries() -> Iterator[Path]:
    # Debian keeps the libraries of an architecture in a folder of their own
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    usual = ["/lib64", "/usr/lib64"]
    narrow = [f"/lib/{triplet}", f"/usr/lib/{triplet}"]
    if triplet and Path(narrow[1]).is_dir():
        names = [*narrow, *usual]
    else:
        names = ["/lib", "/usr/lib", "/usr/local/lib", *usual]
    return (Path(name) for name in names if Path(name).exists())
