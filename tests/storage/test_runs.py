"""What the reader tells of stored runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from funcforge.engine.checkpoint import Checkpoint, RunRecord
from funcforge.engine.errors import RunNotFound, StoreCorrupt
from funcforge.engine.events import EvaluationFinished, Event, StepDecided
from funcforge.engine.progress import Progress
from funcforge.engine.usage import NO_USAGE
from funcforge.storage.database import open_store
from funcforge.storage.runs import FunctionUse, RunReader

from tests.storage.content import ADD, EMPTY, LEARNED, RUN, USAGE, call, ending, run, story
from tests.storage.process import IS_ROOT, listing, reachable, run_python


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "runs.db"


async def record(path: Path, one: RunRecord, events: Sequence[Event]) -> None:
    async with open_store(path) as store:
        await store.begin(one)
        for event in events:
            await store.handle(event)
        await store.commit_call(call(scope="e1", run_id=one.id))
        await store.commit_call(call(scope="step/1", run_id=one.id))
        summary = next(event for event in story() if isinstance(event, EvaluationFinished))
        progress = Progress(
            incumbent=LEARNED.version,
            initial=EMPTY.version,
            step=1,
            summaries={"before/train": summary, "after/train": summary},
        )
        await store.save_checkpoint(one.id, Checkpoint(step=1, state=progress.to_json()))
        await store.handle(ending(one.id))


def test_a_missing_or_empty_file_holds_no_runs(path: Path) -> None:
    path.parent.mkdir(parents=True)

    assert RunReader(path).runs() == []
    path.touch()
    assert RunReader(path).runs() == []
    with pytest.raises(RunNotFound, match="no runs yet"):
        RunReader(path).resolve("latest")
    assert path.read_bytes() == b""


async def test_runs_are_listed_newest_first_with_scores_and_usage(path: Path) -> None:
    await record(path, run("old", created_at_unix_s=1.0), story("old"))
    await record(path, run("new", created_at_unix_s=2.0), story("new"))

    with RunReader(path) as reader:
        found = reader.runs()
        newest = reader.runs(limit=1)

    assert [one.id for one in found] == ["new", "old"]
    assert newest == found[:1]
    assert found[0].status == "done"
    assert found[0].seconds == 42.0
    assert found[0].usage == USAGE + USAGE
    assert (found[0].before["train"].score, found[0].after["train"].high) == (0.5, 0.9)
    assert found[0].before["train"].usage == USAGE + USAGE + USAGE


async def test_a_run_is_meant_by_id_by_its_beginning_or_as_latest(path: Path) -> None:
    for number, name in enumerate(["2025-aa", "2025-ab", "2025-a", "x%y"]):
        await record(path, run(name, created_at_unix_s=float(number + 1)), [])

    with RunReader(path) as reader:
        assert reader.resolve("2025-aa") == "2025-aa"
        assert reader.resolve("2025-a") == "2025-a"
        assert reader.resolve("x") == "x%y"
        assert reader.resolve("latest") == "x%y"
        with pytest.raises(RunNotFound, match="beginning of 3 runs: 2025-a, 2025-ab, 2025-aa"):
            reader.resolve("2025")
        with pytest.raises(RunNotFound, match="no run '%'"):
            reader.resolve("%")
        with pytest.raises(RunNotFound, match="no run 'x'"):
            reader.view("x")


async def test_a_view_holds_everything_but_conversations(path: Path) -> None:
    await record(path, run(), story())

    with RunReader(path) as reader:
        view = reader.view(RUN)

    assert view.config == run().config
    assert view.task_hashes == run().task_hashes
    assert (view.initial, view.final, view.step) == (EMPTY, LEARNED, 1)
    assert view.parameters == {EMPTY.version: EMPTY, LEARNED.version: LEARNED}
    assert [e.evaluation for e in view.evaluations] == ["train/0", "train/1"]
    assert (view.evaluations[1].score, view.evaluations[1].planned) == (None, 3)
    decision = view.decisions[0]
    assert (decision.outcome, decision.effect, decision.low) == ("accepted", 0.5, 0.2)
    assert decision.details == {"alpha": 0.1, "p_value": 0.01, "verdict": "accept"}
    assert [bool(edit.refused) for edit in decision.edits] == [False, True]
    assert decision.edits[0].edit == {"edit": "AddFunction", "function": ADD.to_json()}
    assert view.costs == {"agent": USAGE, "optimizer": USAGE}


# two tasks are no more than two units, however often they were tried
SOLVED: dict[str, Any] = {
    "solved_share": 0.5,
    "solved_low": pytest.approx(0.0362, abs=1e-4),
    "solved_high": pytest.approx(0.9638, abs=1e-4),
}


async def test_function_statistics_leave_failed_episodes_out_of_solved(path: Path) -> None:
    await record(path, run(), story())

    with RunReader(path) as reader:
        uses = reader.view(RUN).functions

    # train/0 scored 0, 0.5 and 1; train/1 scored 1 and failed once
    assert uses == (
        FunctionUse(
            name="add",
            function_hash=ADD.hash,
            calls=5,
            outcomes={"value": 4, "exception": 1},
            elapsed_s=1.25,
            episodes=4,
            solved=2,
            failed=1,
            tasks=3,
            tasks_solved=2,
            slowest_s=0.25,
            last_used="train/1",
            last_used_unix_s=1_700_000_200.0,
            **SOLVED,
        ),
        FunctionUse(
            name="python",
            function_hash=None,
            calls=5,
            outcomes={"value": 5},
            elapsed_s=0.0,
            episodes=4,
            solved=2,
            failed=1,
            tasks=3,
            tasks_solved=2,
            last_used="train/1",
            last_used_unix_s=1_700_000_200.0,
            **SOLVED,
        ),
    )
    assert uses[0].errors == 1


async def test_the_ledger_tells_each_versions_lineage_and_use(path: Path) -> None:
    better = replace(ADD, code="def add(a, b):\n    return sum([a, b])\n")
    worse = replace(ADD, code="def add(a, b):\n    return a - b\n")
    steps = [
        ("rolled_back", LEARNED, worse),
        ("accepted", LEARNED, better),
        ("accepted", replace(LEARNED, functions=(better,)), None),
    ]
    decided = [
        StepDecided(
            run_id=RUN, step=at, outcome=outcome, reason="", incumbent_version=before.version,
            candidate=replace(LEARNED, functions=(function,) if function else ()),
            incumbent_score=0.5, score=0.5,
        )
        for at, (outcome, before, function) in enumerate(steps, start=2)
    ]  # fmt: skip
    await record(path, run(), [*story(), *decided])

    with RunReader(path) as reader:
        view = reader.view(RUN)

    assert [
        (e.function, e.predecessor, e.proposed_in, e.accepted_in, e.ended_in, e.successor)
        for e in view.ledger
    ] == [
        (ADD, None, 1, 1, 3, better.hash),
        (worse, ADD.hash, 2, None, None, None),
        (better, ADD.hash, 3, 3, 4, None),
    ]
    # the last checkpoint of this story stands at LEARNED
    assert [e.standing for e in view.ledger] == ["in use", "rolled back", "removed"]
    assert [e.use.calls if e.use else 0 for e in view.ledger] == [5, 0, 0]


async def test_every_total_can_be_recomputed_from_single_rows(path: Path) -> None:
    await record(path, run(), story())

    database = sqlite3.connect(path)
    kept = database.execute("SELECT calls, prompt_tokens, cost_pusd FROM runs").fetchone()
    summed = database.execute("SELECT sum(calls), sum(prompt_tokens), sum(cost_pusd) FROM calls")
    score = database.execute("SELECT avg(score) FROM episodes WHERE evaluation = 'train/0'")

    assert kept == summed.fetchone()
    assert score.fetchone() == (0.5,)
    database.close()


async def test_a_run_that_has_only_begun_can_be_read(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())

        with RunReader(path) as reader:
            view = reader.view(RUN)

    assert view.summary.status == "running"
    assert view.summary.usage == NO_USAGE
    assert (view.initial, view.final, view.costs) == (EMPTY, EMPTY, {})


async def test_an_evaluation_tells_its_one_score(path: Path) -> None:
    await record(path, run(kind="evaluate"), story()[:7])

    with RunReader(path) as reader:
        summary = reader.view(RUN).summary

    assert summary.before == {}
    assert (summary.after["train"].score, summary.after["train"].tasks) == (0.5, 3)


async def test_reading_works_while_a_run_writes_and_changes_nothing(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        with RunReader(path) as reader:
            for index in range(20):
                await store.commit_call(call(index))
                assert reader.view(RUN).summary.usage.calls == index + 1
                assert reader.runs()[0].status == "running"


async def test_a_run_whose_process_died_is_told_as_interrupted(path: Path) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from funcforge.storage.database import open_store\n"
        "from tests.storage.content import run\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1]) as store:\n"
        "        await store.begin(run())\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )

    died = await run_python(script, path)

    assert died.returncode == -9

    with RunReader(path) as reader:
        assert reader.runs()[0].status == "interrupted"
    async with open_store(path) as store:
        await store.begin(run())
        with RunReader(path) as reader:
            assert reader.runs()[0].status == "running"


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become another user")
async def test_a_folder_that_this_user_may_not_write_in_can_be_read(tmp_path: Path) -> None:
    await record(tmp_path / "runs.db", run(), story())
    reachable(tmp_path)
    before = listing(tmp_path)

    done = await run_python(
        "import sys, json\n"
        "from funcforge.storage.runs import RunReader\n"
        "become_nobody()\n"
        "print([one.id for one in RunReader(sys.argv[1]).runs()])\n",
        tmp_path / "runs.db",
    )

    assert (done.stdout.decode().strip(), done.stderr.decode()) == (f"['{RUN}']", "")
    assert listing(tmp_path) == before


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    garbage = tmp_path / "runs.db"
    garbage.write_bytes(b"this is not a database, it is a letter to my aunt" * 50)

    with pytest.raises(StoreCorrupt, match=str(garbage)):
        RunReader(garbage)

    assert garbage.read_bytes().startswith(b"this is not")


async def test_views_are_plain_values(path: Path) -> None:
    await record(path, run(), story())

    with RunReader(path) as reader:
        assert asdict(reader.view(RUN).summary)["id"] == RUN
