"""What does it cost that a reply is on the disk before it is used?

First the store alone: callers that commit calls as fast as they can. Then a whole evaluation by
the engine, against the in-memory store in the same run, with a model that answers in-process.
Run: `python -m benchmarks.durability`; writes `results/durability.md`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from funcforge.engine.agent import Workspace
from funcforge.engine.checkpoint import CallRecord, RunRecord
from funcforge.engine.episode import Episode, Score
from funcforge.engine.messages import Message, Reply, Request, Tool
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import Answer, ModelFacts, Store
from funcforge.engine.run import Parts, Run
from funcforge.engine.tasks import ListTaskSet, Task
from funcforge.engine.training import Scoring
from funcforge.engine.usage import Usage
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.database import open_store
from funcforge.storage.memory import MemoryStore

RESULTS = Path(__file__).parent / "results" / "durability.md"
SCRATCH = Path(".funcforge")
ROUNDS = 3  # each figure is the median; rounds of all stores alternate
CALLERS = (1, 64, 512)
COMMITS = {1: 300, 64: 6_000, 512: 12_000}
IN_FLIGHT = 64
EPISODES = {0.0: 1_000, 0.05: 2_000, 0.5: 1_000}  # model's latency in seconds -> episodes

Opener = Callable[[Path], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def memory(path: Path) -> AsyncGenerator[Store]:
    """Open the in-memory twin."""
    yield MemoryStore()


@asynccontextmanager
async def sqlite_normal(path: Path) -> AsyncGenerator[Store]:
    """What it would be if the last commits could be lost with the power."""
    async with open_store(path) as store:
        connection = store._writer._connection  # noqa: SLF001 - no setting leads here
        await connection.execute_fetchall("PRAGMA synchronous = NORMAL")
        yield store


STORES: Mapping[str, Opener] = {
    "SQLite": open_store,
    "SQLite, not safe from power loss": sqlite_normal,
    "memory": memory,
}


# -- the store alone ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """One round."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of the whole process, per unit
    bytes: float  # of the file, per unit


def requests(count: int) -> list[Request]:
    """Return requests of a usual size: a system prompt, six tools, a question of 100 words."""
    drawn = random.Random(7)
    words = [f"{drawn.choice('bcdfglmnprst')}{n % 97}ord" for n in range(2_000)]

    def text(length: int) -> str:
        return " ".join(drawn.choices(words, k=length))

    system = Message(role="system", content=text(250))
    properties = {name: {"type": "number", "description": text(8)} for name in "abc"}
    tools = tuple(
        Tool(
            name=f"tool_{number}",
            description=text(30),
            arguments={"type": "object", "properties": properties},
        )
        for number in range(6)
    )
    return [
        Request(
            model="test/agent",
            messages=(system, Message(role="user", content=text(100))),
            tools=tools,
        )
        for _ in range(count)
    ]


def records(count: int) -> list[CallRecord]:
    """Return answered calls, each at its own place."""
    usage = Usage(calls=1, prompt_tokens=900, completion_tokens=60, cost_pusd=10**9)
    return [
        CallRecord(
            run_id="run",
            scope=f"{number:020x}",
            index=0,
            repeat=0,
            request_hash=request.hash,
            request=request,
            reply=Reply(
                message=Message(role="assistant", content=request.messages[1].content[:200]),
                finish="stop",
                usage=usage,
            ),
            at_unix_s=1.0,
        )
        for number, request in enumerate(requests(count))
    ]


async def commits(opener: Opener, callers: int, made: Sequence[CallRecord]) -> Measured:
    """Let callers commit records, each one after the other."""
    waited_s: list[float] = []

    async def caller(store: Store, mine: Sequence[CallRecord]) -> None:
        for record in mine:
            started_s = time.perf_counter()
            await store.commit_call(record)
            waited_s.append(time.perf_counter() - started_s)

    async with scratch(opener) as (store, path):
        await store.begin(run_record())
        started_s, cpu_s = time.perf_counter(), time.process_time()
        async with anyio.create_task_group() as group:
            for number in range(callers):
                group.start_soon(caller, store, made[number::callers])
        taken_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        size = stored_bytes(path)
    waited_ms = [one * 1_000 for one in sorted(waited_s)]
    return Measured(
        per_s=len(made) / taken_s,
        p50_ms=waited_ms[len(waited_ms) // 2],
        p99_ms=waited_ms[len(waited_ms) * 99 // 100],
        cpu_ms=cpu_s / len(made) * 1_000,
        bytes=size / len(made),
    )


@asynccontextmanager
async def scratch(opener: Opener) -> AsyncGenerator[tuple[Store, Path]]:
    """Open a store where runs are stored: a temporary folder may be in memory."""
    SCRATCH.mkdir(exist_ok=True)  # noqa: ASYNC240 - before anything is measured
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder) / "runs.db"
        async with opener(path) as store:
            yield store, path


def stored_bytes(path: Path) -> int:
    """Return the size of a database, 0 for one in memory. What is in the log comes to it."""
    if not path.exists():
        return 0
    database = sqlite3.connect(path)
    query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    size = int(database.execute(query).fetchone()[0])
    database.close()
    return size


def run_record() -> RunRecord:
    """Return the run that everything is stored under."""
    return RunRecord(id="run", kind="evaluate", name="durability", config={}, seed=0)


# -- the whole engine ---------------------------------------------------------------------


class EchoModel:
    """Answers in-process after a fixed latency."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s

    def describe(self, model: str) -> ModelFacts:
        return ModelFacts(context_tokens=100_000, max_output_tokens=4_000)

    async def complete(self, request: Request) -> Reply:
        await anyio.sleep(self._latency_s)
        usage = Usage(calls=1, prompt_tokens=900, completion_tokens=60)
        text = request.messages[-1].content[:200]
        return Reply(message=Message(role="assistant", content=text), finish="stop", usage=usage)


async def agent(task: Task, workspace: Workspace) -> Answer:
    """Ask once, with a system prompt of a usual length."""
    messages = [SYSTEM, Message(role="user", content=task.prompt)]
    reply = await workspace.complete(messages)
    return Answer(text=reply.message.content)


SYSTEM = requests(1)[0].messages[0]


async def full_score(task: Task, episode: Episode) -> Score:
    """Solve every task."""
    return Score(value=1.0)


async def evaluation(opener: Opener, latency_s: float, episodes: int) -> Measured:
    """Evaluate with the engine as it is: bus, limiter, budget, journal, recorder."""
    tasks = ListTaskSet(
        [
            Task(id=f"t{number:06d}", prompt=request.messages[1].content, target="x")
            for number, request in enumerate(requests(episodes))
        ]
    )
    async with scratch(opener) as (store, path):
        parts = Parts(
            model=EchoModel(latency_s),
            store=store,
            sandbox=NoSandbox(),
            scorer=full_score,
            agent=agent,
            agent_settings=AgentSettings(model="test/agent", python=False),
            in_flight=IN_FLIGHT,
        )
        scoring = Scoring(tasks=tasks, parameters=Parameters())
        run: Run[Any] = Run(run_record(), parts, scoring.work())
        started_s, cpu_s = time.perf_counter(), time.process_time()
        async with run:
            outcome = await run.wait()
        taken_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        assert outcome.status == "done", outcome
        size = stored_bytes(path)
    return Measured(
        per_s=episodes / taken_s,
        p50_ms=0.0,
        p99_ms=0.0,
        cpu_ms=cpu_s / episodes * 1_000,
        bytes=size / episodes,
    )


class NoSandbox:
    """The agent calls no function."""

    async def check(self, function: Any) -> Any:
        raise NotImplementedError

    async def call(self, function: Any, arguments: Any) -> Any:
        raise NotImplementedError

    def interpreter(self, **_: Any) -> Any:
        raise NotImplementedError


# -- report -------------------------------------------------------------------------------


def median(found: Sequence[Measured]) -> Measured:
    """Return the median of each figure."""
    names = Measured.__slots__
    return Measured(*(statistics.median(getattr(one, name) for one in found) for name in names))


async def measure() -> str:
    """Return the report."""
    lines = [heading()]
    made = records(max(COMMITS.values()))
    for callers in CALLERS:
        rounds: dict[str, list[Measured]] = {name: [] for name in STORES}
        for _ in range(ROUNDS):
            for name, opener in STORES.items():
                rounds[name].append(await commits(opener, callers, made[: COMMITS[callers]]))
                print(f"{callers} callers, {name}: {rounds[name][-1].per_s:,.0f}/s", flush=True)
        for name, found in rounds.items():
            one = median(found)
            size = f"{one.bytes:,.0f}" if one.bytes else ""
            lines.append(
                f"| {callers} | {name} | {one.per_s:,.0f} | {one.p50_ms:.2f} | {one.p99_ms:.2f} "
                f"| {one.cpu_ms:.3f} | {size} |"
            )
    lines.append(ENGINE_HEADING.format(in_flight=IN_FLIGHT))
    for latency_s, episodes in EPISODES.items():
        lines.extend(await engine_lines(latency_s, episodes))
    return "\n".join(lines) + "\n"


async def engine_lines(latency_s: float, episodes: int) -> list[str]:
    """Evaluate over both stores in turn."""
    names = ("SQLite", "memory")
    rounds: dict[str, list[Measured]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            rounds[name].append(await evaluation(STORES[name], latency_s, episodes))
            print(f"engine, {latency_s:g} s, {name}: {rounds[name][-1].per_s:,.0f}/s", flush=True)
    sqlite, twin = median(rounds["SQLite"]), median(rounds["memory"])
    cost = 1 - sqlite.per_s / twin.per_s
    return [
        f"| {latency_s:g} | {sqlite.per_s:,.0f} | {twin.per_s:,.0f} | {cost:.1%} "
        f"| {sqlite.cpu_ms:.2f} | {twin.cpu_ms:.2f} | {sqlite.bytes:,.0f} |"
    ]


def heading() -> str:
    """Say what was measured where."""
    version = ".".join(map(str, sys.version_info[:3]))
    load = os.getloadavg()[0]
    return (
        "# What durability costs\n\n"
        f"`python -m benchmarks.durability`, {time.strftime('%Y-%m-%d')}; {os.cpu_count()} cores "
        f"({platform.machine()}), Python {version}, SQLite {sqlite3.sqlite_version}; load before "
        f"the run {load:.1f}; median of {ROUNDS} alternating rounds.\n\n"
        "## The store alone: `commit_call` as fast as it goes\n\n"
        "A request has a system prompt of 250 words, six tools and a question of 100 words: "
        f"{average_size():,.0f} bytes of JSON.\n\n"
        "| callers | store | calls/s | median ms | 99 % ms | CPU ms a call | bytes a call |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )


ENGINE_HEADING = """
## A whole evaluation: engine, journal and recorder, {in_flight} in flight

| model's latency, s | SQLite, episodes/s | memory | cost | SQLite, CPU ms | memory | bytes |
| --- | --- | --- | --- | --- | --- | --- |"""


def average_size() -> float:
    """Return the size of a request."""
    return statistics.fmean(len(str(request.to_json())) for request in requests(20))


def main() -> None:
    """Measure and write the report."""
    RESULTS.parent.mkdir(exist_ok=True)
    report = asyncio.run(measure())
    RESULTS.write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
