"""What every store promises, as one list that runs over SQLite and memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from funcforge.engine.checkpoint import Checkpoint
from funcforge.engine.errors import RunOwned
from funcforge.engine.events import LimitChanged, ModelRetried
from funcforge.engine.usage import NO_USAGE, Usage
from funcforge.storage.database import open_store
from funcforge.storage.memory import MemoryStore
from funcforge.storage.store import SqliteStore

from tests.storage.content import (
    ADD,
    EMPTY,
    LEARNED,
    RUN,
    USAGE,
    call,
    ending,
    episode,
    finished,
    judged,
    run,
    story,
)

AnyStore = SqliteStore | MemoryStore


class FixedClock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=["sqlite", "memory"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock
) -> AsyncIterator[AnyStore]:
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    opened: asyncio.Future[SqliteStore] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:  # pytest enters and leaves fixtures in different tasks
        async with open_store(tmp_path / "runs.db", clock) as sqlite:
            opened.set_result(sqlite)
            await done.wait()

    holder = asyncio.create_task(hold())
    yield await opened
    done.set()
    await holder


async def test_a_committed_call_is_found_again_whole(store: AnyStore) -> None:
    await store.begin(run())

    await store.commit_call(call())

    record = call()
    assert await store.find_call(RUN, "e1", 0, record.request_hash) == record


async def test_a_call_is_found_at_its_own_place_only(store: AnyStore) -> None:
    await store.begin(run())
    record = call()

    await store.commit_call(record)

    assert await store.find_call(RUN, "e1", 1, record.request_hash) is None
    assert await store.find_call(RUN, "e2", 0, record.request_hash) is None
    assert await store.find_call(RUN, "e1", 0, "another") is None
    assert await store.find_call("another", "e1", 0, record.request_hash) is None


async def test_the_first_reply_at_a_place_stays(store: AnyStore) -> None:
    await store.begin(run())

    await store.commit_call(call(text="first"))
    await store.commit_call(call(text="second"))

    found = await store.find_call(RUN, "e1", 0, call().request_hash)
    assert found == call(text="first")
    assert await store.used(RUN) == USAGE


async def test_lost_attempts_add_up_apart_from_the_calls(store: AnyStore) -> None:
    await store.begin(run())
    await store.commit_call(call())

    for _ in range(3):
        store.lose(RUN, USAGE)
    store.lose("other", Usage(calls=1))

    assert await store.lost(RUN) == USAGE + USAGE + USAGE
    assert await store.used(RUN) == USAGE
    assert await store.lost("unknown") == NO_USAGE


async def test_used_adds_up_the_calls_of_one_run(store: AnyStore) -> None:
    await store.begin(run())
    await store.begin(run("other"))

    for index in range(3):
        await store.commit_call(call(index))
    await store.commit_call(call(run_id="other"))

    assert await store.used(RUN) == USAGE + USAGE + USAGE
    assert await store.used("unknown") == NO_USAGE


async def test_the_cache_finds_the_first_record_of_any_run(store: AnyStore) -> None:
    await store.begin(run())
    await store.begin(run("other"))

    await store.commit_call(call(text="paid first"))
    await store.commit_call(call(run_id="other", text="paid later"))

    found = await store.find_cached(call().request_hash, 0)
    assert found == call(text="paid first")
    assert await store.find_cached(call().request_hash, 1) is None
    assert await store.find_cached("another", 0) is None


async def test_a_checkpoint_comes_back_with_everything_handled_before(store: AnyStore) -> None:
    await store.begin(run())
    state = {"incumbent": "v", "scores": {"t1": [1.0, None]}, "odd": "\ud800", "big": 10**30}

    for event in story():
        await store.handle(event)
    await store.save_checkpoint(RUN, Checkpoint(step=0, state={}))
    await store.save_checkpoint(RUN, Checkpoint(step=1, state={"old": 1}))
    await store.save_checkpoint(RUN, Checkpoint(step=1, state=state))

    assert await store.load_checkpoint(RUN) == Checkpoint(step=1, state=state)
    assert await store.find_episode(RUN, episode("t1").id) == episode("t1", score=0.5)
    assert await store.load_checkpoint("unknown") is None


async def test_parameters_come_back_equal(store: AnyStore) -> None:
    await store.begin(run())

    for event in story():
        await store.handle(event)

    assert await store.load_parameters(EMPTY.version) == EMPTY
    learned = await store.load_parameters(LEARNED.version)
    assert learned == LEARNED
    assert learned.version == LEARNED.version
    assert await store.load_parameters("unknown") is None


async def test_episodes_stream_by_task_and_repeat_whatever_order_they_ended_in(
    store: AnyStore,
) -> None:
    await store.begin(run())
    wanted = [episode(f"t{n:03d}", repeat=r) for n in range(60) for r in range(3)]
    shuffled = random.Random(1).sample(wanted, len(wanted))

    for one in [*shuffled, episode("t000", evaluation="test/before")]:
        await store.handle(finished(one))

    assert [one async for one in store.episodes(RUN, "train/0")] == wanted
    assert [one async for one in store.episodes(RUN, "none")] == []


async def test_a_failed_episode_is_streamed_but_not_found_and_gives_way_to_a_scored_one(
    store: AnyStore,
) -> None:
    await store.begin(run())
    failed, scored = episode(score=None), episode(score=0.0)

    await store.handle(finished(failed))
    streamed = [one async for one in store.episodes(RUN, "train/0")]
    found = await store.find_episode(RUN, failed.id)
    await store.handle(finished(scored))

    assert streamed == [failed]
    assert found is None
    assert [one async for one in store.episodes(RUN, "train/0")] == [scored]
    assert await store.find_episode(RUN, failed.id) == scored


async def test_a_failed_and_a_scored_attempt_in_one_group_leave_the_scored_one(
    store: AnyStore,
) -> None:
    await store.begin(run())

    async with anyio.create_task_group() as group:
        for one in (episode(score=None), episode(score=1.0), episode(score=None)):
            group.start_soon(store.handle, finished(one))

    assert [one async for one in store.episodes(RUN, "train/0")] == [episode(score=1.0)]
    assert len((await store.dump_rows(RUN))["function_calls"]) == 2


@pytest.mark.parametrize("gold", [1.0, 0.0, None])
async def test_a_critics_judgement_comes_back_whole_with_the_gold_score_beside_it(
    store: AnyStore, gold: float | None
) -> None:
    await store.begin(run())
    one = judged("t1", score=0.6, gold=gold)

    await store.handle(finished(one))
    await store.save_checkpoint(RUN, Checkpoint(step=0, state={}))

    assert await store.find_episode(RUN, one.id) == one
    [row] = (await store.dump_rows(RUN))["episodes"]
    assert (row["score"], row["gold_score"], row["critic_score"]) == (0.6, gold, 0.6)
    assert row["critic_agreement"] == 0.8


async def test_a_scored_episode_is_final(store: AnyStore) -> None:
    await store.begin(run())

    await store.handle(finished(episode(score=1.0)))
    await store.handle(finished(episode(score=0.0)))
    await store.handle(finished(episode(score=None)))

    assert [one async for one in store.episodes(RUN, "train/0")] == [episode(score=1.0)]


async def test_an_event_published_again_is_stored_once(store: AnyStore) -> None:
    await store.begin(run())

    for event in [*story(), *story()]:
        await store.handle(event)

    once = [event["key"] for event in (await store.dump_rows(RUN))["events"]]
    assert sorted(once) == [
        "EditProposed/1/0/0",
        "EditProposed/1/0/1",
        "EvaluationFinished/train/0",
        "EvaluationStarted/train/0",
        "EvaluationStarted/train/1",
        "StepDecided/1",
        "StepStarted/1",
    ]


async def test_what_depends_on_timing_leaves_no_row(store: AnyStore) -> None:
    await store.begin(run())
    before = await store.dump_rows(RUN)

    await store.handle(LimitChanged(run_id=RUN, account="a", in_flight_limit=2, reason="429"))
    await store.handle(
        ModelRetried(run_id=RUN, scope="e", model="m", kind="timeout", attempt=1, wait_s=0.1)
    )

    assert await store.dump_rows(RUN) == before


async def test_the_end_of_a_run_is_stored_and_frees_it(store: AnyStore) -> None:
    await store.begin(run())

    await store.handle(ending(status="paused"))

    stored = await store.load_run(RUN)
    assert stored == run(status="paused")
    assert await store.seconds(RUN) == 42.0
    await store.begin(run(config={"budget": {"calls": 20}}))
    assert await store.load_run(RUN) == run(config={"budget": {"calls": 20}})


async def test_a_run_that_is_worked_on_is_refused_to_others(store: AnyStore) -> None:
    await store.begin(run())

    with pytest.raises(RunOwned, match=RUN):
        await store.begin(run())

    await store.begin(run("other"))


async def test_a_released_run_is_interrupted_and_may_go_on(
    store: AnyStore, clock: FixedClock
) -> None:
    await store.begin(run())
    clock.now_s += 5

    store.release(RUN)
    store.release(RUN)

    assert await store.load_run(RUN) == run(status="interrupted")
    assert await store.seconds(RUN) == 5.0
    await store.begin(run())
    assert await store.load_run(RUN) == run()


async def test_seconds_count_work_up_to_the_last_sign_of_life(
    store: AnyStore, clock: FixedClock
) -> None:
    await store.begin(run())

    await store.commit_call(call(0))
    await store.commit_call(call(7))

    assert await store.seconds(RUN) == 107.0
    assert await store.seconds("unknown") == 0.0
    assert await store.load_run("unknown") is None


async def test_a_cancelled_commit_leaves_a_whole_row_or_none(store: AnyStore) -> None:
    await store.begin(run())

    for index in range(20):
        with anyio.move_on_after(0.0001 * index):
            await store.commit_call(call(index))

    await store.save_checkpoint(RUN, Checkpoint(step=0, state={}))
    for index in range(20):
        record = call(index)
        found = await store.find_call(RUN, "e1", index, record.request_hash)
        assert found in (None, record)


async def test_absurd_numbers_of_a_provider_do_not_stop_the_run(store: AnyStore) -> None:
    await store.begin(run())
    record = call()
    object.__setattr__(record.reply, "usage", Usage(calls=1, prompt_tokens=10**40, cost_pusd=-5))

    await store.commit_call(record)

    assert await store.used(RUN) == Usage(calls=1, prompt_tokens=2**53, cost_pusd=-5)


async def test_two_runs_in_one_store_do_not_see_each_other(store: AnyStore) -> None:
    for run_id in ("one", "two"):
        await store.begin(run(run_id))

    async with anyio.create_task_group() as group:
        for run_id in ("one", "two"):
            for event in story(run_id):
                group.start_soon(store.handle, event)
            for index in range(5):
                group.start_soon(store.commit_call, call(index, run_id=run_id))

    one, two = await store.dump_rows("one"), await store.dump_rows("two")
    assert {**one, "runs": []} == {**two, "runs": []}
    assert all(one.values()) or one["checkpoints"] == []


async def test_both_stores_hold_the_same_rows_whatever_the_order(
    tmp_path: Path, clock: FixedClock
) -> None:
    memory = MemoryStore(clock)
    dumps = []

    async with open_store(tmp_path / "runs.db", clock) as sqlite:
        for store, seed in ((memory, 1), (sqlite, 2)):
            await store.begin(run())
            events = story()
            random.Random(seed).shuffle(events)
            async with anyio.create_task_group() as group:
                for event in events:
                    group.start_soon(store.handle, event)
                for index in range(5):
                    group.start_soon(store.commit_call, call(index))
            await store.save_checkpoint(RUN, Checkpoint(step=1, state={"a": [1, 2.5]}))
            await store.handle(ending())
            dumps.append(await store.dump_rows(RUN))

    assert dumps[0] == dumps[1]
    assert {table: len(rows) for table, rows in dumps[0].items()} == {
        "runs": 1,
        "parameters": 2,
        "functions": 1,
        "contents": 2,
        "evaluations": 2,
        "episodes": 5,
        "function_calls": 10,
        "decisions": 1,
        "events": 7,
        "checkpoints": 1,
        "calls": 5,
    }
    assert dumps[0]["functions"][0]["hash"] == ADD.hash
