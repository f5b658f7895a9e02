"""Starts a warm parent: `python -m guest SETTINGS`, the control socket being the one it names."""

from __future__ import annotations

import json
import os
import site
import socket
import sys
from typing import Any

from . import kernel
from .confinement import Confinement, Landlock, Namespaces
from .imports import preload
from .limits import Limits
from .nursery import Nursery
from .rehearsal import rehearse

# no site folder and its start-up files, no current folder, no writing of bytecode
FLAGS = ("-S", "-s", "-P", "-B", "-m", "guest")


def main(settings: dict[str, Any]) -> None:
    """Cut this process off, import the packages, and serve the engine."""
    if kernel.fix_addresses():
        os.execv(sys.executable, [sys.executable, *FLAGS, *sys.argv[1:]])  # noqa: S606
    own_path = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [path for path in sys.path if path != own_path]
    confinement = _confinement(settings)
    if isinstance(confinement, Namespaces):
        confinement.enter()
    site.setquit()  # `exit()` and `quit()`, which programs call
    packages = tuple(settings["preload"])
    preload(packages)
    rehearse(packages)
    confinement.prepare()
    forget_the_start()
    control = socket.socket(fileno=settings["control_fd"])
    Nursery(control, confinement, tuple(settings["packages"])).run()


def forget_the_start() -> None:
    """Close what could lead back to the engine, and what tells how this process was started."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    os.environ.clear()
    sys.argv[:] = [""]
    sys.orig_argv[:] = [""]


def _confinement(settings: dict[str, Any]) -> Confinement:
    limits = Limits.from_json(settings["limits"])
    match settings["confinement"]:
        case "namespaces":
            return Namespaces(limits=limits)
        case "landlock":
            landlock = Landlock(
                limits=limits,
                scratch_root=settings["scratch_root"],
                hidden=settings["hidden"],
                readable=tuple(settings["readable"]),
            )
            landlock.load(settings["sandlock_path"])
            return landlock
    return Confinement(
        limits=limits, scratch_root=settings["scratch_root"], hidden=settings["hidden"]
    )


main(json.loads(sys.argv[1]))
