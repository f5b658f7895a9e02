"""What does the engine cost per episode? Run: python -m benchmarks.overhead.

An in-process model that answers at once, so that what is measured is the engine: scheduler, bus,
batcher, agent loop, budget, limiter, journal and recorder. Three questions: CPU per episode with
SQLite recording on and with the in-memory store, in turns; growth of memory over 100,000
episodes; 10,000 episodes in flight at once.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psutil
from funcforge.engine.agent import Workspace
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.episode import Episode, Score
from funcforge.engine.limiter import RateLimits
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.ports import Answer, ModelFacts
from funcforge.engine.run import Parts, Run
from funcforge.engine.tasks import Task
from funcforge.engine.training import Scoring
from funcforge.engine.usage import Usage
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.database import open_store
from funcforge.storage.memory import MemoryStore

from tests.doubles import TableSandbox

RESULTS = Path(__file__).parent / "results" / "overhead.md"


@dataclass(frozen=True)
class Numbers:
    """A task set of any length that holds no task."""

    count: int
    hash: str = "numbers"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Task]:
        for number in range(self.count):
            yield Task(id=f"task-{number:07d}", prompt=f"What is {number} + 1?", target="1")


class InstantModel:
    """Answers at once."""

    def describe(self, model: str) -> ModelFacts:
        return ModelFacts(context_tokens=8_000, max_output_tokens=100, prompt_pusd=1)

    async def complete(self, request: Request) -> Reply:
        await anyio.lowlevel.checkpoint()
        usage = Usage(calls=1, prompt_tokens=12, completion_tokens=3, cost_pusd=12)
        message = Message(role="assistant", content="1")
        return Reply(message=message, finish="stop", usage=usage)


class OneCall:
    """The smallest agent: one model call; with a gate, once so many episodes have begun."""

    def __init__(self, gate: int) -> None:
        self.peak = 0
        self._begun = 0
        self._gate = gate
        self._open = anyio.Event()

    async def __call__(self, task: Task, workspace: Workspace) -> Answer:
        """Solve one task."""
        self._begun += 1
        self.peak = max(self.peak, self._begun)
        if self._begun >= self._gate:
            self._open.set()
        await self._open.wait()
        reply = await workspace.complete([Message(role="user", content=task.prompt)])
        self._begun -= 1
        return Answer(text=reply.message.content)


async def always_right(task: Task, episode: Episode) -> Score:
    """Costs nothing."""
    return Score(value=1.0)


@asynccontextmanager
async def store_of(kind: str, folder: str) -> AsyncIterator[Any]:
    """Open a store that is gone afterwards."""
    if kind == "memory":
        yield MemoryStore()
        return
    async with open_store(Path(folder, "runs.db")) as store:
        yield store


async def measure(kind: str, episodes: int, in_flight: int, gate: int = 0) -> dict[str, float]:
    """Run `episodes` and return CPU ms per episode, episodes/s, MB of growth and the peak."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        async with store_of(kind, folder) as store:
            agent = OneCall(gate)
            run = Run(
                RunRecord(id="overhead", kind="evaluate", name="overhead", config={}, seed=0),
                Parts(
                    model=InstantModel(),
                    store=store,
                    sandbox=TableSandbox(),
                    scorer=always_right,
                    agent=agent,
                    agent_settings=AgentSettings(model="instant/model", python=False),
                    in_flight=in_flight,
                    rate_limits=RateLimits(in_flight=in_flight),
                ),
                Scoring(tasks=Numbers(episodes)).work(),
            )
            gc.collect()
            before_mb = process.memory_info().rss / 2**20
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            async with run:
                outcome = await run.wait()
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            assert outcome.value is not None, outcome
            assert outcome.value.summary.episodes == episodes
            gc.collect()
            grown_mb = process.memory_info().rss / 2**20 - before_mb
    return {
        "cpu_ms": 1000 * cpu_s / episodes,
        "per_s": episodes / wall_s,
        "grown_mb": grown_mb,
        "peak": agent.peak,
    }


def main() -> None:
    """Measure, print and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--long", type=int, default=100_000)
    options = parser.parse_args()

    arms: dict[str, list[dict[str, float]]] = {"memory": [], "sqlite": []}
    anyio.run(measure, "sqlite", 500, 64)  # warm up
    for _ in range(options.repeats):
        for kind, found in arms.items():
            found.append(anyio.run(measure, kind, options.episodes, 64))
    long = anyio.run(measure, "sqlite", options.long, 256)
    crowd = anyio.run(measure, "sqlite", 10_000, 10_000, 10_000)
    lines = [
        "# Engine overhead",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {psutil.cpu_count()} cores, "
        f"Python {platform.python_version()}. An in-process model that answers at once; "
        f"{options.repeats} alternated repeats of {options.episodes:,} one-call episodes, "
        "64 in flight: median (lowest - highest).",
        "",
        "| store | CPU ms per episode | episodes/s |",
        "| --- | --- | --- |",
    ]
    for kind, found in arms.items():
        lines.append(f"| {kind} | {_spread(found, 'cpu_ms')} | {_spread(found, 'per_s')} |")
    ratios = [b["cpu_ms"] / a["cpu_ms"] for a, b in zip(*arms.values(), strict=True)]
    lines += [
        "",
        f"SQLite over memory: {statistics.median(ratios):.2f} x the CPU "
        f"({min(ratios):.2f} - {max(ratios):.2f}).",
        "",
        f"{options.long:,} episodes with SQLite: {long['cpu_ms']:.3f} ms CPU each, memory grew by "
        f"{long['grown_mb']:.1f} MB.",
        "",
        f"{crowd['peak']:,.0f} episodes in flight at once (none calls its model before all have "
        f"begun): {crowd['cpu_ms']:.3f} ms CPU each.",
    ]
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _spread(found: list[dict[str, float]], key: str) -> str:
    values = sorted(one[key] for one in found)
    return f"{statistics.median(values):,.3g} ({values[0]:,.3g} - {values[-1]:,.3g})"


if __name__ == "__main__":
    main()
