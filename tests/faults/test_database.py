"""The database when things go wrong around it: kills, full disks, locks, damaged files."""

# ruff: noqa: ASYNC240 - small files, read between two steps of a test

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from funcforge.engine.checkpoint import Checkpoint
from funcforge.engine.errors import (
    RunOwned,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreTooNew,
)
from funcforge.engine.messages import Message
from funcforge.engine.usage import NO_USAGE
from funcforge.storage.database import open_store
from funcforge.storage.runs import RunReader
from funcforge.storage.store import SqliteStore

from tests.storage.content import RUN, USAGE, call, episode, finished, run
from tests.storage.process import IS_ROOT, ROOT, listing, reachable, run_python

PAGE_COUNT = "PRAGMA page_count"
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root to mount or to change the user")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


class Storing:
    """A process that stores until it is killed."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self.output = BufferedByteReceiveStream(process.stdout)

    async def line(self) -> str:
        return (await self.output.receive_until(b"\n", 200)).decode()

    async def killed(self) -> list[str]:
        """Kill the process and return what it had said."""
        self.process.kill()
        said = []
        with suppress(anyio.IncompleteRead, anyio.EndOfStream):
            while True:
                said.append(await self.line())
        await self.process.wait()
        return said


@asynccontextmanager
async def storing(path: Path, run_id: str = RUN, first: int = 0) -> AsyncGenerator[Storing]:
    """Start a process that stores; it has begun its run."""
    command = [sys.executable, "-m", "tests.faults.storing", str(path), run_id, "16", str(first)]
    async with await anyio.open_process(command, cwd=ROOT, stderr=None) as process:
        try:
            storing = Storing(process)
            assert await storing.line() == "begun"
            yield storing
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(path: Path) -> None:
    moments = random.Random(4)
    promised: set[str] = set()

    for life in range(5):
        async with storing(path, first=1000 * life) as writer:
            promised.update([await writer.line() for _ in range(moments.randrange(60))])
            await anyio.sleep(moments.uniform(0.0, 0.02))  # a random moment is what is tested
            promised.update(await writer.killed())

        async with open_store(path) as store:
            await store.begin(run())
            for promise in promised:
                await assert_kept(store, promise)
    assert len(promised) > 50
    assert scalar(path, "PRAGMA integrity_check") == "ok"
    # the totals agree with the rows after all this
    assert scalar(path, "SELECT calls FROM runs") == scalar(path, "SELECT sum(calls) FROM calls")


async def assert_kept(store: SqliteStore, promise: str) -> None:
    if promise.startswith("checkpoint"):
        step = int(promise.split()[1])
        checkpoint = await store.load_checkpoint(RUN)
        assert checkpoint is not None
        assert checkpoint.step >= step
        one = episode(f"t{step}", repeat=4)
        assert await store.find_episode(RUN, one.id) == one
        return
    scope, index = promise.split("/")
    record = call(int(index), scope=scope)
    assert await store.find_call(RUN, scope, int(index), record.request_hash) == record


def scalar(path: Path, query: str) -> object:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchone()[0]
    finally:
        database.close()


async def test_a_run_of_a_living_process_is_refused_and_free_once_it_died(path: Path) -> None:
    async with storing(path) as writer, open_store(path) as store:
        with pytest.raises(RunOwned, match=f"process {writer.process.pid} on") as refused:
            await store.begin(run())
        await store.begin(run("another"))

        await writer.killed()
        await store.begin(run())

    assert refused.value.path == str(path)


async def test_two_processes_write_their_own_runs_at_once(path: Path) -> None:
    async with storing(path, "one") as one, storing(path, "two") as two:
        for _ in range(30):
            await one.line()
            await two.line()

        assert (one.process.returncode, two.process.returncode) == (None, None)


async def test_many_processes_may_make_the_file_at_once(path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from funcforge.storage.database import open_store\n"
        "from tests.storage.content import run\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1]) as store:\n"
        "        await store.begin(run(sys.argv[2]))\n"
        "asyncio.run(main())\n"
    )
    errors = []

    async def start(name: str) -> None:
        done = await run_python(script, path, name)
        errors.append(done.stderr.decode())

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(start, f"r{number}")

    assert errors == [""] * 4
    with RunReader(path) as reader:
        assert {one.id for one in reader.runs()} == {f"r{number}" for number in range(4)}


# -- the disk -----------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False
    )
    if made.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_root
async def test_a_full_disk_stops_the_run_by_name_and_room_lets_it_resume(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "1m") as folder:
        path, ballast = folder / "runs.db", folder / "ballast"
        ballast.write_bytes(b"x" * 400_000)
        done = 0

        async with open_store(path) as store:
            await store.begin(run())
            with pytest.raises(StoreError, match="disk is full") as full:
                while True:
                    await store.commit_call(call(done, text=noise(done)))
                    done += 1
            for later in (
                store.commit_call(call(done + 1)),
                store.save_checkpoint(RUN, Checkpoint(step=0, state={})),
                store.handle(finished(episode())),
            ):
                with pytest.raises(StoreError, match="disk is full"):
                    await later
            assert (await store.used(RUN)).calls == done
        ballast.unlink()
        async with open_store(path) as store:
            await store.begin(run())
            await store.commit_call(call(done))
            assert (await store.used(RUN)).calls == done + 1

    assert full.value.path == str(path)
    assert "Free space" in str(full.value)
    assert done > 0


def noise(seed: int) -> str:
    return random.Random(seed).randbytes(10_000).hex()


async def test_every_waiting_caller_of_a_failed_group_is_told(path: Path) -> None:
    told = []

    async def caller(store: SqliteStore, index: int) -> None:
        with pytest.raises(StoreError, match="disk is full"):
            await store.commit_call(call(index, text=noise(index) * 4))
        told.append(index)

    async with open_store(path) as store:
        await store.begin(run())
        connection = store._writer._connection
        ((pages,),) = [row.values() for row in await connection.execute_fetchall(PAGE_COUNT)]
        await connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
        async with anyio.create_task_group() as group:
            for index in range(20):
                group.start_soon(caller, store, index)

    assert sorted(told) == list(range(20))
    async with open_store(path) as store:
        assert await store.used(RUN) == NO_USAGE


async def test_a_file_removed_under_a_run_is_noticed(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        await store.commit_call(call(0))
        path.rename(path.with_name("moved.db"))

        with pytest.raises(StoreError, match="removed or replaced"):
            await store.commit_call(call(1))


@needs_root
async def test_a_file_that_this_user_may_not_write_is_left_alone(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
    reachable(path.parent)
    path.chmod(0o444)
    before = listing(path.parent)

    said = await open_as_nobody(path)

    assert "StoreError" in said
    assert str(path) in said
    assert "right to write" in said
    assert "may not write in" in said
    assert listing(path.parent) == before


@needs_root
async def test_a_folder_that_this_user_may_not_write_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o755)
    reachable(tmp_path)

    file = await open_as_nobody(folder / "runs.db")
    deeper = await open_as_nobody(folder / "deeper" / "runs.db")

    assert f"may not write in {folder}" in file
    assert "folder for the database cannot be made" in deeper
    assert listing(folder) == []


async def open_as_nobody(path: Path) -> str:
    done = await run_python(
        "import asyncio, sys\n"
        "from funcforge.engine.errors import StoreError\n"
        "from funcforge.storage.database import migrations, open_store\n"
        "from funcforge.storage.queries import queries\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1]) as store: pass\n"
        "queries(), migrations(), become_nobody()\n"
        "try: asyncio.run(main())\n"
        "except StoreError as error: print(type(error).__name__, error)\n",
        path,
    )
    assert done.stderr == b""
    return done.stdout.decode()


async def test_a_folder_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="this is a folder"):
        async with open_store(tmp_path):
            pass


# -- locks --------------------------------------------------------------------------------


@asynccontextmanager
async def holding(path: Path) -> AsyncGenerator[Process]:
    """Another process that holds the write lock of the database."""
    script = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    async with await anyio.open_process([sys.executable, "-c", script, str(path)]) as process:
        assert process.stdout is not None
        assert (await process.stdout.receive()).startswith(b"held")
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def test_a_database_that_stays_locked_is_refused_and_readable(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        await store.commit_call(call())

    async with holding(path):
        with pytest.raises(StoreLocked, match="another process holds the database"):
            async with open_store(path, busy_timeout_s=0.05):
                pass
        with RunReader(path) as reader:
            assert reader.runs()[0].usage == USAGE


async def test_a_lock_that_outlasts_the_wait_stops_the_run_which_can_be_resumed(
    path: Path,
) -> None:
    async with open_store(path, busy_timeout_s=0.05) as store:
        await store.begin(run())
        async with holding(path):
            with pytest.raises(StoreLocked, match="resume the run"):
                await store.commit_call(call())

    async with open_store(path) as store:
        await store.begin(run())
        await store.commit_call(call())
        assert await store.used(RUN) == USAGE


async def test_a_short_lock_is_waited_for(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        async with holding(path) as process, anyio.create_task_group() as group:
            group.start_soon(store.commit_call, call())
            await anyio.wait_all_tasks_blocked()
            process.kill()

        assert await store.used(RUN) == USAGE


# -- damaged and foreign files ------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 24, 4096, 20_000, 10**9])
async def test_a_torn_log_keeps_what_stands_before_the_tear(path: Path, lost: int) -> None:
    torn = path.with_name("torn.db")
    async with open_store(path) as store:
        await store.begin(run())
        for index in range(30):
            await store.commit_call(call(index, scope="s0"))
        # what a crash of the machine leaves: the file, and a log without its end
        shutil.copy(path, torn)
        log = path.with_name("runs.db-wal").read_bytes()
    torn.with_name("torn.db-wal").write_bytes(log[: max(len(log) - lost, 0)])

    async with open_store(torn) as store:
        kept = [await is_kept(store, index) for index in range(30)]
        await store.begin(run())
        await store.commit_call(call(scope="after"))

    assert kept == sorted(kept, reverse=True)  # a prefix, nothing out of the middle
    assert sum(kept) >= 29 - lost / 1500
    assert scalar(torn, "PRAGMA integrity_check") == "ok"


async def is_kept(store: SqliteStore, index: int) -> bool:
    record = call(index, scope="s0")
    return await store.find_call(RUN, "s0", index, record.request_hash) == record


@pytest.mark.parametrize(
    "content", [b"a letter to my aunt, by no means a database" * 100, b"\x00" * 8192, b"short"]
)
async def test_a_file_that_is_no_database_is_never_overwritten(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(StoreCorrupt, match="not a funcforge database") as refused:
        async with open_store(path):
            pass

    assert path.read_bytes() == content
    assert str(path) in str(refused.value)
    assert listing(path.parent) == [("runs.db", len(content))]


async def test_another_programs_database_is_never_touched(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE photos (id)")
    database.commit()
    database.close()
    before = path.read_bytes()

    with pytest.raises(StoreCorrupt, match="another program"):
        async with open_store(path):
            pass

    assert path.read_bytes() == before


async def test_a_newer_database_is_refused_by_store_and_reader(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()

    with pytest.raises(StoreTooNew, match=r"version 99.*Upgrade funcforge"):
        async with open_store(path):
            pass
    with pytest.raises(StoreTooNew, match=str(path)):
        RunReader(path)

    assert path.read_bytes() == before


async def test_damage_inside_the_file_is_named_when_it_is_met(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
        for index in range(50):
            await store.commit_call(call(index))
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)

    with pytest.raises(StoreCorrupt, match=r"damaged.*\.recover"):
        async with open_store(path) as store:
            await store.begin(run())

    with pytest.raises(StoreCorrupt, match="damaged"), RunReader(path) as reader:
        reader.view(RUN)


async def test_a_cut_off_file_is_refused_and_left_as_it_is(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())
    cut = path.read_bytes()[:5000]
    path.write_bytes(cut)

    with pytest.raises(StoreCorrupt):
        async with open_store(path) as store:
            await store.begin(run())

    assert path.read_bytes() == cut


# -- a good guest -------------------------------------------------------------------------


async def test_leaving_early_writes_what_was_queued_and_leaves_nothing_behind(path: Path) -> None:
    threads = set(threading.enumerate())

    with anyio.CancelScope() as scope:
        async with open_store(path) as store:
            await store.begin(run())
            for index in range(200):
                await store.handle(finished(episode(f"t{index}")))
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)  # a thread that has told its last result may still be on its way out
        assert not thread.is_alive()
    assert [file for file in open_files() if file.startswith(str(path.parent))] == []
    assert [name for name, _ in listing(path.parent)] == ["runs.db", "runs.db-owners"]
    assert listing(path.parent / "runs.db-owners") == []
    assert scalar(path, "SELECT count(*) FROM episodes") == 200
    assert scalar(path, "SELECT status FROM runs") == "interrupted"


def open_files() -> list[str]:
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]


async def test_a_defect_in_the_block_is_not_hidden(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_store(path) as store:
            await store.begin(run())
            raise ZeroDivisionError

    assert scalar(path, "SELECT status FROM runs") == "interrupted"


async def test_a_closed_store_says_so(path: Path) -> None:
    async with open_store(path) as store:
        await store.begin(run())

    with pytest.raises(StoreError, match="closed"):
        await store.commit_call(call())


async def test_every_commit_reaches_the_disk(path: Path) -> None:
    async with open_store(path) as store:
        connection = store._writer._connection
        found = [
            value
            for name in ("synchronous", "journal_mode")
            for row in await connection.execute_fetchall(f"PRAGMA {name}")
            for value in row.values()
        ]

    assert found == [2, "wal"]  # 2: FULL; NORMAL would lose commits with the power


async def test_keys_of_the_environment_never_reach_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "ACME_API_KEY": "sk-verysecret-1234567890",
        "HUB_TOKEN": 'tok"en-with-quote',
        "X_SECRET": "sk-verysecret",
        "TINY_TOKEN": "the",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    record = call(text=f"the keys are {secrets}")
    one = episode()
    object.__setattr__(one, "messages", (Message(role="user", content=str(secrets)),))

    async with open_store(path) as store:
        await store.begin(run(config={"model": {"key": secrets["ACME_API_KEY"]}}))
        await store.commit_call(record)
        await store.handle(finished(one))
        await store.save_checkpoint(RUN, Checkpoint(step=0, state=secrets))
        rows = str(await store.dump_rows(RUN))

    assert "sk-verysecret" not in rows
    assert "with-quote" not in rows
    assert "the keys are" in rows
    assert b"sk-verysecret" not in path.read_bytes()
