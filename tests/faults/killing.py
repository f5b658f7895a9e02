"""Kills a training again and again, and judges it by the provider's own ledger.

The training is the command line in a process; the provider is another one, which lives on. Each
reply carries the hash of the request that it answers, so that rows of the database can be matched
with lines of the ledger.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from funcforge import Opening, open_training
from funcforge.storage.database import open_store
from funcforge.storage.spelling import read, unpack

from tests.end_to_end.command import Ended, ended, start
from tests.end_to_end.leftovers import until
from tests.end_to_end.lessons import lesson_settings, load_lesson, write_lesson
from tests.end_to_end.pupil import pupil
from tests.loopback.process import RemoteProvider, provider_process
from tests.loopback.provider import Brain, LoopbackProvider
from tests.loopback.wire import Ask, Say

FAULTS = (
    "rate_limit,rate_limit_wait,error_500,error_502,error_503,overloaded,timeout,reset_before,"
    "reset_within,invalid_json,empty_choices,wrong_type"
)
# of Ray itself: they end when they have not reached their cluster for a minute
_OF_RAY = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
_SIGNED = re.compile(r"(?:call_|\[)([0-9a-f]{20})\b")


def signing() -> Brain:
    """Make a pupil who signs each reply with the hash of its request."""
    brain = pupil()

    def answer(ask: Ask) -> Say:
        say = brain(ask)
        if say.calls:
            signed = tuple(replace(call, id=f"call_{ask.hash}") for call in say.calls)
            return replace(say, calls=signed)
        return replace(say, content=f"{say.content} [{ask.hash}]")

    return answer


@dataclass(frozen=True, kw_only=True)
class World:
    """One training: its size, and how the provider and the killer behave."""

    train: int
    test: int
    kills: int
    seed: int
    in_flight: int = 64
    latency_s: float = 0.5
    fault_rate: float = 0.1
    longest_life_s: float = 1.0  # from the first call of a life to its kill
    executor: str = "local"  # where its episodes run; the driver is what is killed


@dataclass(kw_only=True)
class Report:
    """What happened, as the ledger and the database tell it."""

    kills: int = 0
    kills_without_a_call: int = 0  # while the process was starting
    asked: int = 0  # requests that arrived
    answered: int = 0
    faults: int = 0
    committed: int = 0
    in_flight_at_kills: int = 0  # had arrived, and were not committed
    most_in_flight_at_a_kill: int = 0
    committed_asked_again: int = 0
    billed_again: int = 0  # replies made, sent or not, beyond one for each request
    orphans: int = 0  # processes of the sandbox that outlived a kill
    seconds: float = 0.0
    end: Ended | None = None
    rows: dict[str, list[Any]] | None = None


async def undisturbed(folder: Path, world: World) -> Report:
    """Run the same training in peace, in this process."""
    config_file = write_lesson(folder, train=world.train, test=world.test)
    database = folder / "undisturbed.db"
    async with LoopbackProvider(brain=signing()) as provider:
        config = load_lesson(
            config_file,
            provider.openai_base_url,
            limits__in_flight=world.in_flight,
            store__path=str(database),
        )
        async with open_training(config, Opening(run_id="undisturbed")) as run:
            outcome = await run.wait()
        assert outcome.status == "done", outcome.message
        assert not provider.ledger.repeated(), "every request is asked once in peace"
        asked = len(provider.ledger)
    return Report(asked=asked, rows=await stored(database, "undisturbed"))


async def kill_loop(folder: Path, world: World) -> Report:
    """Train, kill, resume, kill, resume, ... until the kills are used up; then to the end."""
    config_file = write_lesson(folder, train=world.train, test=world.test)
    killer = _Killer(folder, world)
    began_s = time.monotonic()
    async with provider_process(
        *("--latency", str(world.latency_s), "--fault-rate", str(world.fault_rate)),
        *("--fault-kinds", FAULTS, "--fault-seed", str(world.seed), "--hang", "1"),
        brain="tests.faults.killing:signing()",
        ledger_path=folder / "ledger.jsonl",
    ) as provider:
        options = [
            "--json",
            "--quiet",
            *lesson_settings(
                provider.openai_base_url,
                limits__in_flight=world.in_flight,
                executor__kind=world.executor,
                **({} if world.executor == "local" else {"executor__workers": 2}),
            ),
        ]
        while killer.report.end is None:
            run_id = killer.run_id()
            command = ["resume", run_id, "--json", "--quiet"] if run_id else []
            command = command or ["train", str(config_file), *options]
            await killer.live(await start(*command, cwd=folder), provider)
        killer.judge(provider.ledger.entries)
    report = killer.report
    report.seconds = time.monotonic() - began_s
    run_id = killer.run_id()
    assert run_id is not None
    report.rows = await stored(killer.database, run_id)
    return report


class _Killer:
    """Ends lives, and takes stock of what was committed at each end."""

    def __init__(self, folder: Path, world: World) -> None:
        self.report = Report()
        self.database = folder / ".funcforge" / "runs.db"
        self._ledger = folder / "ledger.jsonl"
        self._world = world
        self._rng = random.Random(world.seed)
        self._kills: list[tuple[float, Counter[str]]] = []  # when, and what was committed then

    async def live(self, process: asyncio.subprocess.Process, provider: RemoteProvider) -> None:
        """Let one life go on for a while, or to its end once all kills are done."""
        if self.report.kills == self._world.kills:
            self.report.end = await ended(process)
            return
        size = self._ledger_size()
        early = self._rng.random() < 0.1  # somewhere in the start, before any call
        with suppress(AssertionError):
            await until(
                lambda: process.returncode is not None or self._ledger_size() > size,
                within_s=self._rng.uniform(0, 2) if early else 120.0,
            )
        await asyncio.sleep(self._rng.uniform(0, self._world.longest_life_s) * (not early))
        if process.returncode is not None:
            self.report.end = await ended(process)
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        killed_unix_s = time.time()
        process.kill()
        await process.communicate()
        self.report.kills += 1
        self.report.kills_without_a_call += self._ledger_size() == size
        await self._bury(family)
        self._kills.append((killed_unix_s, self._committed()))

    def run_id(self) -> str | None:
        """Return the run's id, once it is stored."""
        with suppress(sqlite3.OperationalError):
            found = self._query("SELECT id FROM runs")
            return found[0][0] if found else None
        return None

    def judge(self, entries: list[Any]) -> None:
        """Compare the ledger with what was committed at each kill."""
        report = self.report
        report.asked = len(entries)
        made = [entry for entry in entries if entry.outcome in ("answered", "client_gone")]
        report.answered = sum(entry.outcome == "answered" for entry in made)
        report.billed_again = len(made) - len({entry.hash for entry in made})
        report.faults = report.asked - len(made)
        report.committed = self._committed().total()
        before_s = 0.0
        for killed_s, committed in self._kills:
            lived = {e.hash for e in entries if before_s < e.at_unix_s <= killed_s}
            in_flight = len(lived - committed.keys())
            report.in_flight_at_kills += in_flight
            report.most_in_flight_at_a_kill = max(report.most_in_flight_at_a_kill, in_flight)
            again = {e.hash for e in entries if e.at_unix_s > killed_s} & committed.keys()
            report.committed_asked_again += len(again)
            before_s = killed_s

    async def _bury(self, family: list[psutil.Process]) -> None:
        """Wait for the processes of sandbox and workers, which are to die with their parent."""
        with suppress(AssertionError):
            await until(lambda: not any(map(_is_orphan, family)), within_s=10.0)
        self.report.orphans += sum(map(_is_orphan, family))
        left = [each for each in family if _lives(each)]
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def _committed(self) -> Counter[str]:
        """Return the signatures of all committed replies."""
        with suppress(sqlite3.OperationalError):
            packed = self._query("SELECT packed FROM calls")
            replies = (str(read(unpack(row[0]))["reply"]["message"]) for row in packed)
            return Counter(_SIGNED.findall(reply)[-1] for reply in replies)
        return Counter()

    def _query(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def _ledger_size(self) -> int:
        return os.path.getsize(self._ledger) if self._ledger.exists() else 0


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _is_orphan(process: psutil.Process) -> bool:
    """Whether it is left, and nobody else ends it."""
    with suppress(psutil.NoSuchProcess, IndexError):
        return _lives(process) and not process.cmdline()[0].startswith(_OF_RAY)
    return False


async def stored(database: Path, run_id: str) -> dict[str, list[Any]]:
    """Return a run's rows by table, without its id and what its config names."""
    async with open_store(database) as store:
        tables = await store.dump_rows(run_id)
    apart = {"config", "run_id", "id"}
    return {
        name: [{key: value for key, value in dict(row).items() if key not in apart} for row in rows]
        for name, rows in tables.items()
    }
