"""Does an episode cost more after a million others? Run: python -m benchmarks.throughput.million.

Streams 10^2 to 10^6 tasks through one process, 256 in flight, recorded in SQLite. The model answers
in the process, at once, so that what is measured is the engine. CPU, memory and the database are
noted on the way, so that drift within the longest run shows too.
"""

from __future__ import annotations

import argparse
import gc
import platform
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
from funcforge.adapters.loop import run_loop
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.events import EpisodeFinished, Event
from funcforge.engine.limiter import RateLimits
from funcforge.engine.run import Parts, Run
from funcforge.engine.training import Scoring
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.database import open_store

from benchmarks.overhead import InstantModel, Numbers, always_right
from tests.doubles import TableSandbox

from .arms import one_call

RESULTS = Path(__file__).resolve().parents[1] / "results"
IN_FLIGHT = 256
STRETCHES = 20  # of a run, each looked at by itself


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a run stood after so many episodes."""

    episodes: int
    cpu_s: float
    wall_s: float
    rss_mb: float


class Marks:
    """A sink that looks at the process now and then."""

    def __init__(self, every: int) -> None:
        self.found = [self._look(0)]
        self._every = every
        self._episodes = 0

    async def handle(self, event: Event) -> None:
        """Count an episode."""
        if isinstance(event, EpisodeFinished):
            self._episodes += 1
            if self._episodes % self._every == 0:
                self.found.append(self._look(self._episodes))
                print(self.found[-1], flush=True)

    def _look(self, episodes: int) -> Mark:
        rss_mb = psutil.Process().memory_info().rss / 2**20
        return Mark(episodes, time.process_time(), time.perf_counter(), rss_mb)


@dataclass(frozen=True, slots=True)
class Length:
    """What a run of one length cost."""

    tasks: int
    cpu_ms: float  # per episode, start and end of the run included
    per_s: float
    rss_mb: float  # the most that was seen
    database_mb: float
    stretches: tuple[float, ...]  # CPU ms per episode, one after the other


async def stream(tasks: int, folder: Path) -> Length:
    """Stream so many tasks."""
    marks = Marks(max(tasks // STRETCHES, 1))
    path = folder / f"{tasks}.db"
    async with open_store(path) as store:
        run = Run(
            RunRecord(id="stream", kind="evaluate", name="stream", config={}, seed=0),
            Parts(
                model=InstantModel(),
                store=store,
                sandbox=TableSandbox(),
                scorer=always_right,
                agent=one_call,
                agent_settings=AgentSettings(model="instant/model", python=False),
                in_flight=IN_FLIGHT,
                rate_limits=RateLimits(in_flight=IN_FLIGHT),
            ),
            Scoring(tasks=Numbers(tasks)).work(),
            sinks=[marks],
        )
        gc.collect()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        async with run:
            outcome = await run.wait()
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        assert outcome.value is not None, outcome
        assert outcome.value.summary.episodes == tasks
    database_mb = path.stat().st_size / 2**20
    path.unlink()
    between = [
        1000 * (after.cpu_s - before.cpu_s) / (after.episodes - before.episodes)
        for before, after in pairwise(marks.found)
    ]
    return Length(
        tasks=tasks,
        cpu_ms=1000 * cpu_s / tasks,
        per_s=tasks / wall_s,
        rss_mb=max(mark.rss_mb for mark in marks.found),
        database_mb=database_mb,
        stretches=tuple(between),
    )


async def measure(lengths: list[int]) -> list[Length]:
    """Stream each length."""
    with tempfile.TemporaryDirectory() as folder:
        await stream(200, Path(folder))  # warm up
        return [await stream(length, Path(folder)) for length in lengths]


def plot(found: list[Length]) -> None:
    """Draw the cost by length, and within the longest run."""
    width, height, top = 560, 240, max(max(one.stretches) for one in found) * 1.15
    bars = found[-1].stretches
    left = [(60 + n * 200 / max(len(found) - 1, 1), one.cpu_ms) for n, one in enumerate(found)]
    right = [(320 + n * 200 / max(len(bars) - 1, 1), cost) for n, cost in enumerate(bars)]

    def spot(x: float, cost: float) -> str:
        return f"{x:.1f},{200 - 160 * cost / top:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<text x="60" y="20">CPU ms per episode, by tasks streamed (0 - {top:.2f})</text>',
        f'<text x="320" y="20">within the run of {found[-1].tasks:,}</text>',
    ]
    for series in (left, right):
        points = " ".join(spot(x, cost) for x, cost in series)
        lines.append(f'<polyline points="{points}" fill="none" stroke="#2266aa"/>')
        lines.extend(
            f'<circle cx="{spot(x, c).split(",")[0]}" cy="{spot(x, c).split(",")[1]}" r="2.5" '
            'fill="#2266aa"/>'
            for x, c in series
        )
        lines.append(f'<path d="M{series[0][0]:.1f} 200 H{series[-1][0]:.1f}" stroke="#888"/>')
    for (x, cost), one in zip(left, found, strict=True):
        lines.append(f'<text x="{x - 12:.1f}" y="216">10^{len(str(one.tasks)) - 1}</text>')
        lines.append(f'<text x="{x - 10:.1f}" y="{190 - 160 * cost / top:.1f}">{cost:.2f}</text>')
    lines.append(f'<text x="320" y="216">0</text><text x="490" y="216">{found[-1].tasks:,}</text>')
    lines.append("</svg>")
    (RESULTS / "million.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=6, help="power of ten")
    options = parser.parse_args()
    found: list[Length] = []

    async def work() -> None:
        found.extend(await measure([10**power for power in range(2, options.most + 1)]))

    run_loop(work)
    lines = [
        "# A million tasks through one process",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {psutil.cpu_count()} cores, Python "
        f"{platform.python_version()}, load average {psutil.getloadavg()[0]:.1f} at the end: "
        "CPU is what to compare. `python -m benchmarks.throughput.million`; one-call episodes, a "
        f"model in the process that answers at once, SQLite, {IN_FLIGHT} in flight.",
        "",
        "| tasks | CPU ms an episode | first to last twentieth | episodes/s | highest RSS MB "
        "| database MB |",
        "| -: | -: | -: | -: | -: | -: |",
    ]
    lines.extend(
        f"| {one.tasks:,} | {one.cpu_ms:.3f} | {one.stretches[0]:.3f} - {one.stretches[-1]:.3f} "
        f"| {one.per_s:,.0f} | {one.rss_mb:.0f} | {one.database_mb:,.1f} |"
        for one in found
    )
    lines += ["", "![cost by tasks streamed](million.svg)"]
    (RESULTS / "million.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    plot(found)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
