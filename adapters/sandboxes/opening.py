"""Opens the best sandbox that works on this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio

from ...engine.errors import SandboxUnavailable
from .environment import Environment, build_environment
from .guest import seccomp
from .interpreter_files import InterpreterFiles
from .launch import Backend, Bubblewrap, Plain
from .pool import Pool
from .probe import prove
from .settings import BackendReport, SandboxSettings

_INSTALL_BUBBLEWRAP = "sudo apt-get install bubblewrap"
_INSTALL_SANDLOCK = f"{sys.executable} -m pip install sandlock"


@asynccontextmanager
async def open_sandbox(settings: SandboxSettings | None = None) -> AsyncIterator[Pool]:
    """Open the sandbox. Leaving the context ends every process and removes every file of it.

    A backend is used only after it has withstood an attempt to escape on this machine.

    Raises:
        SandboxUnavailable: The chosen backend, or with "auto" every backend, does not work here.
            The message holds the command that changes it.
    """
    settings = settings or SandboxSettings()
    wanted = ("bubblewrap", "sandlock") if settings.backend == "auto" else (settings.backend,)
    environment = await anyio.to_thread.run_sync(build_environment, settings.packages)
    reports: list[BackendReport] = []
    for name in wanted:
        failure: Exception | None = None
        async with AsyncExitStack() as stack:
            pool, report = await _try(name, settings, environment, stack)
            if pool is not None:
                try:
                    yield pool
                except Exception as error:  # as it is, not in the group that a task group makes
                    failure = error
        if failure is not None:
            raise failure
        if pool is not None:
            return
        reports.append(report)
    reasons = "; ".join(f"{report.name}: {report.reason}" for report in reports)
    fixes = "\n  ".join(dict.fromkeys(report.fix for report in reports if report.fix))
    raise SandboxUnavailable(f"no sandbox works here ({reasons}). To get one:\n  {fixes}")


async def probe_backends(settings: SandboxSettings | None = None) -> list[BackendReport]:
    """Try every backend, best first, and tell what each gives here, or why it does not work."""
    settings = settings or SandboxSettings()
    environment = await anyio.to_thread.run_sync(build_environment, ())
    names = ("bubblewrap", "sandlock", "unsafe")
    reports: dict[str, BackendReport] = {}

    async def probe(name: str) -> None:
        async with AsyncExitStack() as stack:
            _, reports[name] = await _try(name, settings, environment, stack)

    async with anyio.create_task_group() as probes:
        for name in names:
            probes.start_soon(probe, name)
    return [reports[name] for name in names]


async def _try(
    name: str, settings: SandboxSettings, environment: Environment, stack: AsyncExitStack
) -> tuple[Pool | None, BackendReport]:
    reports = []
    for backend in _backends(name, settings, environment, stack):
        if isinstance(backend, BackendReport):
            return None, backend
        tasks = await stack.enter_async_context(anyio.create_task_group())
        pool = Pool(backend, settings, environment, tasks)
        stack.push_async_callback(pool.aclose)
        report = await prove(pool)
        if report.works:
            return pool, report
        await pool.aclose()
        reports.append(report)
    return None, reports[-1]


def _backends(
    name: str, settings: SandboxSettings, environment: Environment, stack: AsyncExitStack
) -> list[Backend | BackendReport]:
    """Return the ways to start a backend, best first, or why there is none."""
    files = InterpreterFiles.of_this_process()
    if name != "unsafe" and (sys.platform != "linux" or not seccomp.supported()):
        reason = f"needs Linux on x86_64 or aarch64, this is {sys.platform} on {platform.machine()}"
        return [BackendReport(name=name, works=False, reason=reason, fix="use a Linux machine")]
    if name == "bubblewrap":
        program = shutil.which("bwrap")
        if program is None:
            reason = "the program bwrap is not installed"
            fix = _INSTALL_BUBBLEWRAP
            return [BackendReport(name=name, works=False, reason=reason, fix=fix)]
        ways = (False, True) if os.getuid() == 0 else (True,)
        return [
            Bubblewrap(
                program=program,
                settings=settings,
                environment=environment,
                files=files,
                own_users=own_users,
            )
            for own_users in ways
        ]
    found = importlib.util.find_spec("sandlock") if name == "sandlock" else None
    if name == "sandlock" and (found is None or found.origin is None):
        reason = "the Python package sandlock is not installed"
        return [BackendReport(name=name, works=False, reason=reason, fix=_INSTALL_SANDLOCK)]
    folder = tempfile.TemporaryDirectory(prefix="funcforge-sandbox-", ignore_cleanup_errors=True)
    return [
        Plain(
            settings=settings,
            environment=environment,
            files=files,
            scratch=Path(stack.enter_context(folder)),
            sandlock_folder=Path(found.origin).parent.parent if found and found.origin else None,
        )
    ]
