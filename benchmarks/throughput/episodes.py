"""How many episodes a second, and what does one cost?

Whole runs of the engine, recorded in SQLite, against a provider on raw sockets that answers after
0.2 s. All arms run in turns; medians are shown, with the lowest and highest. The rate is that
between the first tenth of a run, in which the limiter feels its way up, and the last; CPU is of the
whole run, of its process and its workers; the provider's is said apart.

    python -m benchmarks.throughput.episodes single    one call an episode, beside bare aiohttp
    python -m benchmarks.throughput.episodes tools     three calls, two of the sandbox
    python -m benchmarks.throughput.episodes workers   two workers, and Ray, against one process
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
import orjson
import psutil
from funcforge.adapters.loop import run_loop
from funcforge.engine.events import EpisodeFinished, Event
from funcforge.storage.database import open_store

from .arms import MODEL, PROMPT, SYSTEM, Arm, make_run, open_parts
from .server import Served, served

RESULTS = Path(__file__).resolve().parents[1] / "results"
LATENCY_S = 0.2
SCALE = float(os.environ.get("SCALE", "1"))  # of the numbers of episodes, for a busy machine


@dataclass(slots=True)
class Found:
    """What an arm did, one entry for each repeat."""

    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    driver_ms: list[float] = field(default_factory=list)
    provider_ms: list[float] = field(default_factory=list)

    @property
    def whole_ms(self) -> float:
        """CPU an episode of all processes."""
        return statistics.median(self.cpu_ms) + statistics.median(self.provider_ms)


@dataclass(frozen=True, slots=True)
class Look:
    """The clocks at one moment."""

    wall_s: float
    driver_s: float
    family_s: float  # with workers and sandboxes
    provider_s: float


def look(provider: Served, others: Sequence[psutil.Process]) -> Look:
    """Read all clocks."""
    family_s = 0.0
    for process in others:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            # with the calls in the sandbox that are over: each was a child of its own
            family_s += sum(times[:4])
    times = psutil.Process(provider.pid).cpu_times()
    return Look(
        time.perf_counter(), time.process_time(), family_s, times.user + times.system
    )  # fmt: skip


class Window:
    """A sink that looks at the clocks when a tenth of the episodes is done, and nine tenths."""

    def __init__(self, episodes: int, provider: Served) -> None:
        self._marks = (episodes // 10, episodes * 9 // 10, episodes)
        self._count = 0
        self._provider = provider
        self._others = [
            process
            for process in psutil.Process().children(recursive=True)
            if process.pid != provider.pid
        ]
        self.looks = [look(provider, self._others)]

    async def handle(self, event: Event) -> None:
        """Count an episode."""
        if isinstance(event, EpisodeFinished):
            self.count()

    def count(self) -> None:
        """Take note of one more."""
        self._count += 1
        if self._count in self._marks:
            self.looks.append(look(self._provider, self._others))

    def keep(self, found: Found) -> None:
        """Work the rates out."""
        start, first, last, end = self.looks
        begun, nearly, episodes = self._marks
        found.per_s.append((nearly - begun) / (last.wall_s - first.wall_s))
        driver_ms = 1000 * (end.driver_s - start.driver_s) / episodes
        found.driver_ms.append(driver_ms)
        found.cpu_ms.append(driver_ms + 1000 * (end.family_s - start.family_s) / episodes)
        found.provider_ms.append(1000 * (end.provider_s - start.provider_s) / episodes)


async def run_arm(
    arm: Arm, episodes: int, in_flight: int, provider: Served, found: Found, *, keep: bool
) -> None:
    """Run one arm once."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_store(Path(folder, "runs.db")) as store,
            open_parts(arm, store, provider.base_url, in_flight) as parts,
        ):
            warm = make_run(parts, 40, "warm", tools=arm.tools)
            async with warm:
                await warm.wait()
            window = Window(episodes, provider)
            run = make_run(parts, episodes, "timed", tools=arm.tools, sinks=[window])
            async with run:
                outcome = await run.wait()
            assert outcome.value is not None, outcome
            assert outcome.value.summary.episodes == episodes, outcome
            if keep:
                window.keep(found)


async def run_bare(
    episodes: int, in_flight: int, provider: Served, found: Found, *, keep: bool
) -> None:
    """Post the same bodies with aiohttp and read the answers, and do nothing else."""
    window = Window(episodes, provider)
    numbers = iter(range(episodes))
    url = f"{provider.base_url}/chat/completions"
    headers = {"authorization": "Bearer key", "content-type": "application/json"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def work() -> None:
            for number in numbers:
                body = orjson.dumps(
                    {
                        "model": MODEL.partition("/")[2],
                        "messages": [
                            {"role": "system", "content": SYSTEM},
                            {"role": "user", "content": f"Question {number}. {PROMPT}"},
                        ],
                        "max_tokens": 256,
                        "temperature": 0.0,
                    }
                )
                async with session.post(url, data=body, headers=headers) as response:
                    orjson.loads(await response.read())
                window.count()

        async with anyio.create_task_group() as group:
            for _ in range(in_flight):
                group.start_soon(work)
    if keep:
        window.keep(found)


async def compare(
    arms: Sequence[tuple[Arm | None, int, int]], repeats: int, *, calls: int = 0
) -> list[Found]:
    """Run all arms in turns; None is bare aiohttp. Arms are (arm, episodes, in flight)."""
    found = [Found() for _ in arms]
    async with served(LATENCY_S, calls=calls) as provider:
        for repeat in range(repeats + 1):  # the first round warms up
            for (arm, episodes, in_flight), one in zip(arms, found, strict=True):
                count = max(int(episodes * SCALE * (1.0 if repeat else 0.2)), 100)
                if arm is None:
                    await run_bare(count, in_flight, provider, one, keep=repeat > 0)
                else:
                    await run_arm(arm, count, in_flight, provider, one, keep=repeat > 0)
                print(repeat, arm.name if arm else "bare", one.per_s[-1:], flush=True)
    return found


def spread(values: Sequence[float]) -> str:
    """Return the median, with the lowest and highest."""
    return f"{statistics.median(values):,.3g} ({min(values):,.3g} - {max(values):,.3g})"


def head(title: str, question: str, repeats: int) -> list[str]:
    """Return what every results file begins with."""
    return [
        f"# {title}",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {psutil.cpu_count()} cores, Python "
        f"{platform.python_version()}, load average {os.getloadavg()[0]:.1f} at the end. "
        f"`python -m benchmarks.throughput.episodes {question}`: {repeats} repeats in turns, "
        f"median (lowest - highest). Provider on loopback, {LATENCY_S:g} s, raw sockets; uvloop; a "
        "2 KB prompt; journal and episodes in SQLite, each reply committed before it is used.",
        "",
    ]


def single(repeats: int) -> list[str]:
    """One call an episode, beside the bare client."""
    arms: list[tuple[Arm | None, int, int]] = [
        (None, 8_000, 512),
        (Arm(name="ours, fast lane"), 8_000, 512),
        (Arm(name="ours, fall-back lane", fast=False), 800, 128),
        (None, 12_000, 2_000),
        (Arm(name="ours, fast lane"), 12_000, 2_000),
    ]
    found = run_all(arms, repeats)
    lines = [
        *head("Single-call episodes", "single", repeats),
        "| arm | in flight | episodes/s | CPU ms an episode | provider's CPU ms | of bare |",
        "| - | -: | -: | -: | -: | -: |",
    ]
    bare: dict[int, float] = {}
    for (arm, _, in_flight), one in zip(arms, found, strict=True):
        rate = statistics.median(one.per_s)
        if arm is None:
            bare[in_flight] = rate
        share = f"{rate / bare[in_flight]:.0%}" if in_flight in bare else "-"
        lines.append(
            f"| {arm.name if arm else 'bare aiohttp'} | {in_flight:,} | {spread(one.per_s)} "
            f"| {spread(one.cpu_ms)} | {statistics.median(one.provider_ms):.3f} | {share} |"
        )
    return lines


def tools(repeats: int) -> list[str]:
    """Three calls an episode, two of them followed by a call in the sandbox."""
    arms: list[tuple[Arm | None, int, int]] = [
        (Arm(name="ours, fast lane", tools=True), 1_200, 256),
        (Arm(name="the same, tools in a table", tools=True, table=True), 1_200, 256),
    ]
    found = run_all(arms, repeats, calls=2)
    lines = [
        *head("Tool-using episodes: three calls, two in the sandbox", "tools", repeats),
        "| arm | in flight | episodes/s | CPU ms an episode | of it the run's process |",
        "| - | -: | -: | -: | -: |",
    ]
    for (arm, _, in_flight), one in zip(arms, found, strict=True):
        assert arm is not None
        lines.append(
            f"| {arm.name} | {in_flight} | {spread(one.per_s)} | {spread(one.cpu_ms)} "
            f"| {statistics.median(one.driver_ms):.2f} |"
        )
    real, table = (statistics.median(one.cpu_ms) for one in found)
    ours_ms = statistics.median(found[0].driver_ms) - statistics.median(found[1].driver_ms)
    lines += [
        "",
        f"Where the time goes: of {real:.1f} ms CPU an episode, {table:.2f} are the engine, three "
        f"calls over HTTP and the recording; {real - table:.1f} are two calls in the sandbox, of "
        f"which {ours_ms:.2f} in the run's process and the rest in the sandbox's own.",
    ]
    return lines


def workers(repeats: int, *, ray: bool, lanes: Sequence[bool] = (False, True)) -> list[str]:
    """Two workers against one process, on both lanes or one of them."""
    groups: list[tuple[str, list[tuple[Arm | None, int, int]]]] = []
    for fast in lanes:
        # many times what is in flight: what was sent before the window began flatters the rate
        count, in_flight = (20_000, 2_000) if fast else (4_000, 512)
        lane = "fast lane" if fast else "fall-back lane"
        arms: list[tuple[Arm | None, int, int]] = [
            (Arm(name="one process", fast=fast), count, in_flight),
            (Arm(name="one worker", fast=fast, executor="processes"), count, in_flight),
            (
                Arm(name="two workers", fast=fast, executor="processes", workers=2),
                count,
                in_flight,
            ),
        ]
        if ray:
            arms.append(
                (
                    Arm(name="Ray, two actors", fast=fast, executor="ray", workers=2),
                    count,
                    in_flight,
                )
            )
        groups.append((lane, arms))
    lines = [
        *head("Workers on 2 cores, which the provider shares", "workers", repeats),
        "| lane | arm | episodes/s | of one process | of one worker | CPU ms an episode "
        "| of it the driver's | provider's | cores in use |",
        "| - | - | -: | -: | -: | -: | -: | -: | -: |",
    ]
    bounds: list[str] = []
    for lane, arms in groups:
        found = run_all(arms, repeats)
        one_process, one_worker, *_ = (statistics.median(one.per_s) for one in found)
        for (arm, _, _), one in zip(arms, found, strict=True):
            assert arm is not None
            rate = statistics.median(one.per_s)
            lines.append(
                f"| {lane} | {arm.name} | {spread(one.per_s)} | {rate / one_process:.2f} x "
                f"| {rate / one_worker:.2f} x | {spread(one.cpu_ms)} "
                f"| {statistics.median(one.driver_ms):.2f} "
                f"| {statistics.median(one.provider_ms):.2f} | {rate * one.whole_ms / 1000:.2f} |"
            )
        most = 1000 * (psutil.cpu_count() or 1) / found[2].whole_ms
        bounds.append(
            f"{lane.capitalize()}: with no moment lost, all cores would do {most:,.0f} episodes/s "
            f"in two workers, {most / one_process:.2f} x one process, "
            f"{most / one_worker:.2f} x one worker."
        )
    return [*lines, "", *bounds]


def run_all(
    arms: Sequence[tuple[Arm | None, int, int]], repeats: int, *, calls: int = 0
) -> list[Found]:
    """Run in the loop that the command line uses."""
    found: list[Found] = []

    async def work() -> None:
        found.extend(await compare(arms, repeats, calls=calls))

    run_loop(work)
    return found


def main() -> None:
    """Measure, print and write the results of one question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", choices=["single", "tools", "workers"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--lane", choices=["fall-back", "fast"], help="one alone; writes nothing")
    options = parser.parse_args()
    if options.question == "workers":
        lanes = [options.lane == "fast"] if options.lane else [False, True]
        lines = workers(options.repeats, ray=not options.no_ray, lanes=lanes)
    else:
        lines = {"single": single, "tools": tools}[options.question](options.repeats)
    if not options.lane:
        file = RESULTS / f"episodes_{options.question}.md"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
