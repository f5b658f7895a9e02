"""Does anything grow? Half an hour at 1,000 in flight. Run: python -m benchmarks.throughput.soak.

A loopback provider that takes 5 s over each call, so that 1,000 in flight are about 200 episodes a
second, through the fast lane into SQLite. Every half minute: memory, descriptors, asyncio's tasks,
threads, the database's size and its rows.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import sqlite3
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import anyio
import psutil
from funcforge.engine.run import Run
from funcforge.storage.database import open_store

from .arms import Arm, make_run, open_parts
from .server import served

RESULTS = Path(__file__).resolve().parents[1] / "results" / "soak.md"
LATENCY_S = 5.0
IN_FLIGHT = 1_000
RAMP_S = 240.0  # until the limiter has found that the provider takes 1,000, and pools are full


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the process stands."""

    at_s: float
    rss_mb: float
    descriptors: int
    tasks: int
    threads: int
    objects: int
    episodes: int
    database_mb: float
    cpu_s: float


def take(path: Path, started_s: float) -> Sample:
    """Look at this process and its database."""
    process = psutil.Process()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (episodes,) = connection.execute("SELECT count(*) FROM episodes").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    finally:
        connection.close()
    return Sample(
        at_s=time.monotonic() - started_s,
        rss_mb=process.memory_info().rss / 2**20,
        descriptors=process.num_fds(),
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        objects=len(gc.get_objects()),
        episodes=episodes,
        database_mb=pages * size / 2**20,
        cpu_s=time.process_time(),
    )


async def soak(seconds: float, every_s: float) -> list[Sample]:
    """Run for so long, and return what was seen on the way."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.db")
        async with (
            served(LATENCY_S) as provider,
            open_store(path) as store,
            open_parts(Arm(name="soak"), store, provider.base_url, IN_FLIGHT) as parts,
        ):
            run = make_run(parts, 10**9, "soak", tools=False)
            async with run, anyio.create_task_group() as group:
                group.start_soon(_watch, run, path, samples, seconds, every_s)
                outcome = await run.wait()
            assert outcome.stopped_by == "interrupt", outcome
    return samples


async def _watch(
    run: Run[object], path: Path, samples: list[Sample], seconds: float, every_s: float
) -> None:
    started_s = time.monotonic()
    while time.monotonic() - started_s < seconds:
        await anyio.sleep(every_s)
        samples.append(take(path, started_s))
        print(samples[-1], flush=True)
    run.stop()


def main() -> None:
    """Soak, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1_800.0)
    parser.add_argument("--every", type=float, default=30.0)
    options = parser.parse_args()
    samples = anyio.run(soak, options.seconds, options.every)
    settled = next((s for s in samples if s.at_s >= RAMP_S), samples[0])
    last = samples[-1]
    between = last.episodes - settled.episodes
    lines = [
        "# Soak",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {psutil.cpu_count()} cores, Python "
        f"{platform.python_version()}. `python -m benchmarks.throughput.soak`: {last.at_s:,.0f} s "
        f"with {IN_FLIGHT:,} episodes in flight, one call each to a loopback provider that takes "
        f"{LATENCY_S:g} s, fast lane, SQLite; niced, beside other work on the machine. "
        f"{last.episodes:,} episodes, {between / (last.at_s - settled.at_s):,.0f} a second.",
        "",
        "| s | episodes | RSS MB | descriptors | tasks | threads | Python objects | database MB "
        "| bytes a row | CPU ms an episode |",
        "| -: | -: | -: | -: | -: | -: | -: | -: | -: | -: |",
    ]
    step = max(1, len(samples) // 15)
    shown = [s for n, s in enumerate(samples) if s.at_s >= RAMP_S and n % step == 0]
    lines.extend(_row(one, settled) for one in dict.fromkeys([settled, *shown, last]))
    growth = last.rss_mb - settled.rss_mb
    lines += [
        "",
        f"From second {settled.at_s:.0f} to {last.at_s:.0f}, over {between:,} episodes: RSS "
        f"{growth:+.1f} MB, descriptors {last.descriptors - settled.descriptors:+d}, tasks "
        f"{last.tasks - settled.tasks:+d}, threads {last.threads - settled.threads:+d}, objects "
        f"{last.objects - settled.objects:+,d}. A row is one episode with its call.",
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _row(one: Sample, settled: Sample) -> str:
    episodes = one.episodes - settled.episodes
    cpu_ms = 1000 * (one.cpu_s - settled.cpu_s) / episodes if episodes else 0.0
    return (
        f"| {one.at_s:,.0f} | {one.episodes:,} | {one.rss_mb:.1f} | {one.descriptors} "
        f"| {one.tasks} | {one.threads} | {one.objects:,} | {one.database_mb:,.1f} "
        f"| {one.database_mb * 2**20 / max(one.episodes, 1):,.0f} | {cpu_ms:.2f} |"
    )


if __name__ == "__main__":
    main()
