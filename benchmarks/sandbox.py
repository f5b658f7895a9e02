"""What does a call in the sandbox cost, beside a fresh process and a bare fork?

Side by side in one run: a cold `python -c`, the same under bubblewrap, a bare fork of a process
that has the packages imported, and the pool. One call after the other, and 64 outstanding.

    python -m benchmarks.sandbox [--calls N] [--backend NAME] [--out FILE] [--leaks N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from funcforge.adapters.sandboxes import Pool, SandboxSettings, open_sandbox
from funcforge.engine.functions import Function

RESULTS = Path(__file__).parent / "results" / "sandbox.md"
OUTSTANDING = 64
WORK = {
    "trivial": "def f(a):\n    return a + 1\n",
    "sympy": (
        "import sympy\ndef f(a):\n    x = sympy.Symbol('x')\n"
        "    return str(sympy.expand((x + a) ** 3))\n"
    ),
    "pandas": (
        "import pandas\ndef f(a):\n    frame = pandas.DataFrame({'x': [a, 2, 3]})\n"
        "    return int(frame['x'].sum())\n"
    ),
}

# run by a process of its own, so that this one stays small: forks once per call
BARE_FORK = """
import gc, json, os, sys, time
code, calls, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
scope = {}
exec(code, scope); scope["f"](1); gc.collect(); gc.freeze()
running, times, started = {}, [], time.perf_counter()
while len(times) < calls:
    while len(running) < at_once and len(running) + len(times) < calls:
        began = time.perf_counter(); reads, writes = os.pipe(); pid = os.fork()
        if pid == 0:
            scope = {}; exec(code, scope)
            os.write(writes, json.dumps(scope["f"](1)).encode()); os._exit(0)
        os.close(writes); running[pid] = (began, reads)
    pid, _ = os.wait()
    began, reads = running.pop(pid)
    os.read(reads, 4096); os.close(reads); times.append(time.perf_counter() - began)
used = os.times()
print(json.dumps([times, time.perf_counter() - started, sum(used[:4])]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of the table."""

    way: str
    work: str
    outstanding: int
    times_s: list[float]  # of each call
    total_s: float
    cpu_s: float | None  # all processes together; None: bubblewrap's ended children are not told

    def row(self) -> str:
        """Return it as a line of the table."""
        times = sorted(self.times_s)
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        calls = len(times)
        cpu = "-" if self.cpu_s is None else f"{self.cpu_s / calls * 1e3:.1f}"
        return (
            f"| {self.work} | {self.way} | {self.outstanding} | {p50 * 1e3:.1f} | {p95 * 1e3:.1f} "
            f"| {calls / self.total_s:.0f} | {cpu} |"
        )


def cold(way: str, work: str, prefix: list[str], variables: dict[str, str], calls: int) -> Measured:
    """Start a process for each call."""
    program = f"{WORK[work]}\nprint(f(1))"
    before, began, times = os.times(), time.perf_counter(), []
    for _ in range(calls):
        start = time.perf_counter()
        subprocess.run([*prefix, "-c", program], env=variables, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    total, after = time.perf_counter() - began, os.times()
    cpu = None if prefix[0] == "bwrap" else sum(after[:4]) - sum(before[:4])
    return Measured(way=way, work=work, outstanding=1, times_s=times, total_s=total, cpu_s=cpu)


def bare_fork(work: str, calls: int, at_once: int, variables: dict[str, str]) -> Measured:
    """Fork for each call, with no confinement at all."""
    command = [sys.executable, "-c", BARE_FORK, WORK[work], str(calls), str(at_once)]
    done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    times, total, cpu = json.loads(done.stdout)
    shown = 1 if at_once == 1 else OUTSTANDING
    return Measured(
        way="bare fork", work=work, outstanding=shown, times_s=times, total_s=total, cpu_s=cpu
    )


async def pooled(pool: Pool, work: str, calls: int, outstanding: int) -> Measured:
    """Call through the sandbox."""
    function = Function(name="f", description="", arguments={}, code=WORK[work])
    await asyncio.gather(*(pool.call(function, {"a": 1}) for _ in range(8)))
    times: list[float] = []
    left = calls

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            start = time.perf_counter()
            result = await pool.call(function, {"a": 1})
            times.append(time.perf_counter() - start)
            assert result.outcome == "value", result

    before, began = cpu_of_all(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(outstanding):
            group.create_task(caller())
    total, cpu = time.perf_counter() - began, cpu_of_all() - before
    return Measured(
        way=f"pool ({pool.backend})",
        work=work,
        outstanding=outstanding,
        times_s=times,
        total_s=total,
        cpu_s=cpu,
    )


def cpu_of_all() -> float:
    """Return the computing time of this process and all below it, ended ones included."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


async def measure(calls: int, backend: str) -> list[Measured]:
    """Measure every way on every work."""
    found: list[Measured] = []
    async with open_sandbox(SandboxSettings(backend=backend)) as pool:
        packages = str(pool.environment.folder)
        variables = {"PYTHONPATH": packages, "OPENBLAS_NUM_THREADS": "1"}
        wrapped = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev"]
        wrapped += ["/dev", "--tmpfs", "/run", "--die-with-parent", sys.executable]
        few = max(calls // 20, 5)
        steps: list[Callable[[str], Awaitable[Measured]]] = [
            lambda w: asyncio.to_thread(cold, "python -c", w, [sys.executable], variables, few),
            lambda w: asyncio.to_thread(cold, "bwrap python -c", w, wrapped, variables, few),
            lambda w: asyncio.to_thread(bare_fork, w, calls, 1, variables),
            lambda w: pooled(pool, w, calls, 1),
            lambda w: asyncio.to_thread(bare_fork, w, calls, os.cpu_count() or 1, variables),
            lambda w: pooled(pool, w, calls, OUTSTANDING),
        ]
        for work in WORK:
            for step in steps:
                found.append(await step(work))
                print(found[-1].row(), file=sys.stderr, flush=True)
    return found


async def leaks(calls: int, backend: str) -> list[str]:
    """Make many calls and return what grew, as lines of a table."""
    # so that scratch folders of other programs on this machine do not count
    tempfile.tempdir = tempfile.mkdtemp(prefix="funcforge-benchmark-")
    lines = ["| calls | processes | descriptors | engine MB | parents MB | scratch |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    async with open_sandbox(SandboxSettings(backend=backend)) as pool:
        for done in range(0, calls + 1, max(calls // 10, 1)):
            await asyncio.sleep(0.5)  # until ended processes are gone
            lines.append(f"| {done} | {' | '.join(state())} |")
            print(lines[-1], file=sys.stderr, flush=True)
            if done < calls:
                await pooled(pool, "trivial", max(calls // 10, 1), OUTSTANDING)
    await asyncio.sleep(0.5)
    lines.append(f"| closed | {' | '.join(state())} |")
    os.rmdir(tempfile.gettempdir())  # fails if anything is left
    return lines


def state() -> Iterator[str]:
    """Yield what could leak."""
    own = psutil.Process()
    below = own.children(recursive=True)
    yield str(len(below))
    yield str(own.num_fds())
    yield f"{own.memory_info().rss / 1e6:.0f}"
    yield f"{sum(process.memory_info().rss for process in below) / 1e6:.0f}"
    yield str(sum(1 for _ in Path(tempfile.gettempdir()).rglob("*")))


def report(found: list[Measured], leak_lines: list[str], load: tuple[float, ...]) -> str:
    """Return the results as Markdown."""
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    lines = [
        "# The sandbox beside a fresh process and a bare fork",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}, Python {platform.python_version()}; "
        f"load average {load[0]:.1f} before, {os.getloadavg()[0]:.1f} after. CPU is the computing "
        "time of all processes per call. Run by `python -m benchmarks.sandbox`.",
        "",
        "| work | way | outstanding | p50 ms | p95 ms | calls/s | CPU ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(measured.row() for measured in found),
        "",
        *leak_lines,
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--leaks", type=int, default=20_000, help="calls of the leak test")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    load = os.getloadavg()
    found = asyncio.run(measure(options.calls, options.backend)) if options.calls else []
    lines = asyncio.run(leaks(options.leaks, options.backend)) if options.leaks else []
    text = report(found, lines, load)
    options.out.write_text(text)


if __name__ == "__main__":
    main()
