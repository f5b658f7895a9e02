"""The contract of `Executor`: the same run, in one process, in several, on a cluster."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from funcforge.adapters.executors.cluster import open_cluster
from funcforge.adapters.executors.crew import Workplace, open_crew
from funcforge.adapters.executors.processes import Processes
from funcforge.engine.budget import Caps
from funcforge.engine.calls import Retry
from funcforge.engine.checkpoint import CallRecord, RunRecord
from funcforge.engine.errors import ConfigError, WorkersLost
from funcforge.engine.evaluation import Evaluation
from funcforge.engine.limiter import RateLimits
from funcforge.engine.run import Outcome, Parts, Run
from funcforge.engine.tasks import ListTaskSet, Task
from funcforge.engine.training import Scoring
from funcforge.storage.memory import MemoryStore

from tests.contracts import benches
from tests.end_to_end.leftovers import until

WORKERS = 2


@dataclass
class Place:
    """Where episodes run, and how to run some."""

    kind: str
    folder: Path
    size: int = WORKERS

    @asynccontextmanager
    async def workplace(self) -> AsyncGenerator[Workplace]:
        """Open what starts workers."""
        if self.kind == "processes":
            yield Processes()
            return
        async with open_cluster(None, self.size) as cluster:
            yield cluster

    @asynccontextmanager
    async def parts(self, store: Any, given: dict[str, Any]) -> AsyncGenerator[Parts]:
        """Open what a run is made of."""
        setup = benches.setup(self.folder, **given)
        async with AsyncExitStack() as stack:
            bench = await stack.enter_async_context(
                benches.open_bench({"folder": str(self.folder)}, NOBODY)
            )
            crew = None
            if self.kind != "local":
                workplace = await stack.enter_async_context(self.workplace())
                silence_s = given.get("silence_s", 60.0)
                crew = await stack.enter_async_context(
                    open_crew(workplace, setup, self.size, silence_s=silence_s)
                )
                await crew.complete()
            yield Parts(
                model=bench.model,
                store=store,
                sandbox=bench.sandbox,
                scorer=bench.scorer,
                agent=bench.agent,
                agent_settings=bench.settings,
                episode_timeout_s=given.get("timeout_s", 60.0),
                retry=Retry(first_wait_s=0.01),
                executor=crew.executor if crew else None,
            )

    async def evaluate(
        self,
        tasks: Sequence[Task],
        *,
        store: Any = None,
        resumed: bool = False,
        given: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Outcome[Evaluation]:
        """Evaluate on tasks, and return how that ended."""
        async with self.parts(store or MemoryStore(), given or {}) as parts:
            run = make_run(tasks, replace(parts, **changes), resumed=resumed)
            async with run:
                return await run.wait()


def make_run(tasks: Sequence[Task], parts: Parts, **options: Any) -> Run[Evaluation]:
    record = RunRecord(id="run", kind="evaluate", name="test", config={}, seed=0)
    return Run(record, parts, Scoring(tasks=ListTaskSet(tasks)).work(), **options)


NOBODY: Any = None  # no judge is asked in this process


NEAR = ["local", "processes"]
RAY = pytest.param("ray", marks=pytest.mark.slow)  # the tests that a transport may break


@pytest.fixture(params=[*NEAR, RAY])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "ray":
        request.getfixturevalue("ray_address")
    return Place(request.param, tmp_path)


@pytest.fixture(params=NEAR)
def near(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


@pytest.fixture
def processes(tmp_path: Path) -> Place:
    return Place("processes", tmp_path)


@pytest.fixture(params=["processes", RAY])
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "ray":
        request.getfixturevalue("ray_address")
    return Place(request.param, tmp_path)


def questions(count: int, text: str = "question") -> list[Task]:
    return [
        Task(id=f"t{number:02d}", prompt=f"{text} {number}", target=str(number))
        for number in range(count)
    ]


def beside(folder: Path, done: str = "started") -> Path:
    """Make a folder for a run in this process; in it, `done` has happened already."""
    folder = folder / "local"
    folder.mkdir()
    (folder / done).touch()
    return folder


async def local_rows(tasks: Sequence[Task], folder: Path) -> dict[str, list[Any]]:
    store = MemoryStore()
    assert (await Place("local", beside(folder)).evaluate(tasks, store=store)).status == "done"
    return await store.dump_rows("run")


async def test_the_stored_rows_do_not_depend_on_where_episodes_run(
    place: Place, tmp_path: Path
) -> None:
    odd = [
        Task(id="odd", prompt="a lone \ud800 surrogate", target="a", metadata={"n": math.nan}),
        Task(id="refused", prompt="refused", target="r"),
        Task(id="raise", prompt="raise", target="r"),
        Task(id="busy", prompt="busy once", target="b"),
    ]
    tasks = [*questions(30), *odd]
    store = MemoryStore()

    outcome = await place.evaluate(tasks, store=store, max_failed_share=0.5)

    twin = MemoryStore()
    await Place("local", beside(tmp_path)).evaluate(tasks, store=twin, max_failed_share=0.5)
    assert outcome.status == "done"
    rows, expected = await store.dump_rows("run"), await twin.dump_rows("run")
    for table in expected:
        assert _without_traces(rows[table]) == _without_traces(expected[table]), table
    if place.kind != "local":
        assert len({pid for _, pid, _ in benches.trace(place.folder)}) == WORKERS


def _without_traces(rows: list[Any]) -> list[Any]:
    """A traceback names the files it passed."""
    return [
        {name: value for name, value in row.items() if "Traceback" not in str(value)}
        for row in rows
    ]


async def test_a_reply_is_committed_before_the_agent_sees_it(near: Place) -> None:
    seen: list[bool] = []

    class Slow(MemoryStore):
        async def commit_call(self, record: CallRecord) -> None:
            await anyio.sleep(0.05)
            seen.append((near.folder / "seen").exists())
            await super().commit_call(record)

    task = Task(id="t", prompt="question", target="q", files={"seen": str(near.folder)})

    await near.evaluate([task], store=Slow())

    assert seen == [False, True]


async def test_a_cap_is_kept_over_all_workers_and_the_run_goes_on_after_it(
    place: Place, tmp_path: Path
) -> None:
    tasks, store = questions(20), MemoryStore()

    paused = await place.evaluate(tasks, store=store, caps=Caps(calls=13))
    asked = len(benches.trace(place.folder))
    done = await place.evaluate(tasks, store=store, resumed=True)

    assert (paused.status, paused.stopped_by, asked) == ("paused", "budget", 13)
    assert done.status == "done"
    assert len(benches.trace(place.folder)) == 40  # nothing was asked twice
    assert await store.dump_rows("run") == await local_rows(tasks, tmp_path)


async def test_one_limiter_bounds_what_is_in_flight_over_all_workers(near: Place) -> None:
    await near.evaluate(questions(12, "slow"), rate_limits=RateLimits(in_flight=3))

    begun = [(at, 1) for _, _, at in benches.trace(near.folder)]
    ended = [(at, -1) for _, _, at in benches.trace(near.folder, "left")]
    in_flight, peak = 0, 0
    for _, change in sorted(begun + ended):
        in_flight += change
        peak = max(peak, in_flight)
    assert peak == 3


async def test_a_deadline_ends_an_episode_and_its_call(near: Place) -> None:
    tasks = [*questions(9), Task(id="z", prompt="long", target="l")]

    outcome = await near.evaluate(
        tasks, given={"timeout_s": 0.5}, max_failed_share=0.5, retry=Retry(call_timeout_s=30)
    )

    assert outcome.value is not None
    assert (outcome.value.summary.episodes, outcome.value.summary.failed) == (9, 1)
    assert [text for text, _, _ in benches.trace(near.folder, "left") if text == "long"]


async def test_a_call_that_takes_too_long_is_broken_off_and_asked_again(near: Place) -> None:
    tasks = [Task(id="z", prompt="long", target="l")]
    store = MemoryStore()

    await near.evaluate(tasks, store=store, retry=Retry(attempts=2, first_wait_s=0.01,
                                                         call_timeout_s=0.2))  # fmt: skip

    asked = [text for text, _, _ in benches.trace(near.folder)]
    assert asked == ["long"] * 4  # two attempts in each of the two lives of an episode
    assert benches.trace(near.folder, "left")
    assert (await store.lost("run")).calls == 4


async def test_cancelling_leaves_no_process_and_breaks_calls_off(near: Place) -> None:
    before = set(psutil.Process().children(recursive=True))
    async with near.parts(MemoryStore(), {}) as parts:
        run = make_run(questions(4, "long"), parts)
        async with run, anyio.create_task_group() as group:
            group.start_soon(run.wait)
            await until(lambda: len(benches.trace(near.folder)) == 4)
            group.cancel_scope.cancel()

    assert set(psutil.Process().children(recursive=True)) == before
    assert len(benches.trace(near.folder, "left")) == 4


async def test_a_worker_that_is_killed_loses_nothing_and_counts_nothing_twice(
    workers: Place, tmp_path: Path
) -> None:
    tasks = [*questions(8, "slow"), Task(id="x", prompt="kill once", target="k"), *questions(40)]
    tasks = [replace(task, id=f"{number:02d}") for number, task in enumerate(tasks)]
    store = MemoryStore()

    outcome = await workers.evaluate(tasks, store=store)

    twin = MemoryStore()
    await Place("local", beside(tmp_path, done="kill_once")).evaluate(tasks, store=twin)
    assert outcome.status == "done"
    assert await store.dump_rows("run") == await twin.dump_rows("run")
    asked = [text for text, _, _ in benches.trace(workers.folder)]
    again = len(asked) - len(set(asked))
    lost = await store.lost("run")
    # the calls in flight in that worker, and no others; a leave to send may have come too late
    assert 0 < again <= lost.calls


async def test_a_worker_that_hangs_is_killed_and_its_episodes_run_in_another(
    workers: Place, tmp_path: Path
) -> None:
    hanging = [*questions(8, "slow"), Task(id="x", prompt="hang once", target="h"), *questions(20)]
    hanging = [replace(task, id=f"{number:02d}") for number, task in enumerate(hanging)]
    store = MemoryStore()

    # long enough for a process to start on a busy machine
    outcome = await workers.evaluate(hanging, store=store, given={"silence_s": 8.0})

    twin = MemoryStore()
    await Place("local", beside(tmp_path, done="hang_once")).evaluate(hanging, store=twin)
    assert outcome.status == "done"
    assert await store.dump_rows("run") == await twin.dump_rows("run")
    asked = benches.trace(workers.folder)
    (hung, other) = [pid for text, pid, _ in asked if text == "hang once"]
    assert hung != other
    assert not psutil.pid_exists(hung)
    assert len(asked) - len({text for text, _, _ in asked}) <= (await store.lost("run")).calls


async def test_a_worker_that_was_stopped_for_a_while_keeps_its_episodes(processes: Place) -> None:
    store = MemoryStore()

    async def pause(parts: Parts) -> None:
        await until(lambda: bool(benches.trace(processes.folder)))
        worker = psutil.Process(benches.trace(processes.folder)[0][1])
        worker.suspend()
        await anyio.sleep(1.0)
        worker.resume()

    async with processes.parts(store, {"silence_s": 8.0}) as parts:
        run = make_run(questions(40, "slow"), parts)
        async with run, anyio.create_task_group() as group:
            group.start_soon(pause, parts)
            outcome = await run.wait()

    assert outcome.status == "done"
    assert (await store.lost("run")).calls == 0


async def test_a_dead_worker_is_replaced(processes: Place) -> None:
    tasks = [Task(id="x", prompt="kill once", target="k"), *questions(20)]

    outcome = await replace(processes, size=1).evaluate(tasks)

    assert outcome.status == "done"
    assert len({pid for _, pid, _ in benches.trace(processes.folder)}) == 2


async def test_an_episode_that_kills_every_worker_fails_alone(processes: Place) -> None:
    tasks = [*questions(20), Task(id="x", prompt="kill always", target="k")]

    outcome = await processes.evaluate(tasks, max_failed_share=0.5)

    assert outcome.value is not None
    assert (outcome.value.summary.episodes, outcome.value.summary.failed) == (20, 1)


async def test_workers_that_keep_dying_end_the_run_with_the_reason(processes: Place) -> None:
    with pytest.raises(WorkersLost, match="SIGKILL") as caught:
        await processes.evaluate(questions(3), given={"dies": True})

    assert "6 workers died" in str(caught.value)


async def test_what_a_worker_cannot_start_with_is_said_at_the_start(workers: Place) -> None:
    with pytest.raises(ConfigError, match=r"agent\.kind: this bench is broken"):
        await workers.evaluate(questions(3), given={"broken": True})


async def test_what_cannot_be_sent_is_refused_with_its_place(processes: Place) -> None:
    task = Task(id="t", prompt="question", target="q", metadata={"lock": lambda: None})

    outcome = await processes.evaluate([task])

    assert isinstance(outcome.error, ConfigError)
    assert "task t: cannot be sent to a worker" in str(outcome.error)


async def test_an_answer_that_cannot_be_sent_fails_its_episode_only(processes: Place) -> None:
    tasks = [*questions(9), Task(id="z", prompt="odd answer", target="o")]

    outcome = await processes.evaluate(tasks, max_failed_share=0.5)

    assert outcome.value is not None
    assert (outcome.value.summary.episodes, outcome.value.summary.failed) == (9, 1)


async def test_a_judge_in_a_worker_is_journaled_and_budgeted_by_the_run(processes: Place) -> None:
    store = MemoryStore()
    task = Task(id="t", prompt="question", target="q", metadata={"judge": True})

    outcome = await processes.evaluate([task], store=store)

    rows = (await store.dump_rows("run"))["calls"]
    assert outcome.usage.calls == 3
    assert [row["model"] for row in rows].count("test/judge") == 1
