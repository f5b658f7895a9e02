"""Ctrl-C, SIGTERM and caps stop a run where they should, and it goes on from there."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from funcforge import Opening, open_training

from tests.end_to_end.command import Ended, ended, funcforge, start
from tests.end_to_end.leftovers import until
from tests.end_to_end.lessons import lesson_settings, load_lesson, write_lesson
from tests.faults.killing import Report, World, signing, stored, undisturbed
from tests.loopback.faults import Fault, SeededFaults
from tests.loopback.provider import LoopbackProvider

WORLD = World(train=16, test=240, kills=0, seed=0, in_flight=256)
QUICK_FAULTS = (Fault.RATE_LIMIT, Fault.ERROR_500, Fault.RESET_WITHIN, Fault.INVALID_JSON)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")


@asynccontextmanager
async def started(
    folder: Path, provider: LoopbackProvider, world: World
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Start the training as a command, and wait until its calls are in flight."""
    config_file = write_lesson(folder, train=world.train, test=world.test)
    options = lesson_settings(provider.openai_base_url, limits__in_flight=world.in_flight)
    process = await start("train", config_file, "--json", "--quiet", *options, cwd=folder)
    try:
        await until(lambda: provider.ledger.in_flight > 8)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def goes_on(folder: Path, stopped: Ended, peace: Report, *options: str) -> Ended:
    """Resume a stopped run to its end, which must be that of the undisturbed one."""
    run_id = stopped.told["run_id"]
    end = await funcforge("resume", run_id, "--json", "--quiet", *options, cwd=folder)
    assert end.code == 0, end.err
    assert await stored(folder / ".funcforge" / "runs.db", run_id) == peace.rows
    return end


async def test_the_first_signal_drains_and_nothing_is_paid_for_twice(tmp_path: Path) -> None:
    (tmp_path / "peace").mkdir()
    world = World(train=16, test=64, kills=0, seed=0)
    peace = await undisturbed(tmp_path / "peace", world)
    async with LoopbackProvider(brain=signing(), latency_s=1.0) as provider:
        async with started(tmp_path, provider, world) as process:
            process.send_signal(signal.SIGINT)
            stopped = await ended(process)
        drained = provider.ledger.outcomes()
        provider.latency_s = 0.0

        await goes_on(tmp_path, stopped, peace)

    assert stopped.code == 130, stopped.err
    assert stopped.told["status"] == "interrupted"
    assert stopped.told["usage"]["calls"] == drained["answered"]
    assert drained.keys() == {"answered"}
    assert len(provider.ledger) == peace.asked


async def test_the_second_signal_stops_now(tmp_path: Path) -> None:
    (tmp_path / "peace").mkdir()
    world = World(train=16, test=64, kills=0, seed=0)
    peace = await undisturbed(tmp_path / "peace", world)
    async with LoopbackProvider(brain=signing(), latency_s=120.0) as provider:
        async with started(tmp_path, provider, world) as process:
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            told = await process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            stopped = await ended(process, within_s=20.0)
        provider.latency_s = 0.0
        in_flight = provider.ledger.outcomes()["client_gone"]

        await goes_on(tmp_path, stopped, peace)

    assert b"once more stops now" in told
    assert stopped.code == 130, stopped.err
    assert stopped.told["status"] == "interrupted"
    assert len(provider.ledger) == peace.asked + in_flight


@pytest.mark.parametrize("seed", range(3))
async def test_no_cap_is_ever_exceeded(tmp_path: Path, seed: int) -> None:
    await keep_caps(tmp_path, seed)


async def test_a_cap_counts_failed_attempts_over_every_stop(tmp_path: Path) -> None:
    config_file = write_lesson(tmp_path, train=8, test=120)
    faults = SeededFaults(rate=0.4, kinds=QUICK_FAULTS, seed=1)
    async with LoopbackProvider(brain=signing(), faults=faults) as provider:
        for calls in (60, 90, 120):
            config = load_lesson(
                config_file,
                provider.openai_base_url,
                budget__calls=calls,
                store__path=str(tmp_path / "runs.db"),
            )
            opening = Opening(run_id="capped", resume=calls > 60)
            async with open_training(config, opening) as run:
                outcome = await run.wait()
            await provider.ledger.idle()

            assert outcome.status == "paused"
            assert len(provider.ledger) <= calls


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A capped run, as the ledger tells it."""

    status: str
    calls_share: float  # of the cap; 1 is all of it
    tokens_share: float
    faults: int


async def keep_caps(folder: Path, seed: int) -> Kept:
    """Run against caps drawn by seed, judged by the ledger."""
    config_file = write_lesson(folder, train=WORLD.train, test=WORLD.test)
    rng = random.Random(seed)
    calls, tokens = rng.randint(1, 500), rng.randint(5_000, 150_000)
    faults = SeededFaults(rate=rng.choice([0.0, 0.1, 0.3]), kinds=QUICK_FAULTS, seed=seed)
    latency_s = rng.choice([0.0, 0.05, 0.3])
    async with LoopbackProvider(brain=signing(), faults=faults, latency_s=latency_s) as provider:
        config = load_lesson(
            config_file,
            provider.openai_base_url,
            limits__in_flight=256,
            budget__calls=calls,
            budget__tokens=tokens,
            store__path=str(folder / "runs.db"),
        )
        async with open_training(config, Opening(run_id="capped")) as run:
            outcome = await run.wait()
        await provider.ledger.idle()

        assert len(provider.ledger) <= calls
        assert provider.ledger.tokens <= tokens
    assert outcome.status in {"paused", "done"}, outcome.message
    if outcome.status == "paused":
        assert outcome.stopped_by == "budget"
        assert "--set budget." in outcome.message
    return Kept(
        status=outcome.status,
        calls_share=len(provider.ledger) / calls,
        tokens_share=provider.ledger.tokens / tokens,
        faults=len(provider.ledger) - len(provider.ledger.answered()),
    )


async def test_out_of_budget_a_run_pauses_and_ends_well_with_a_larger_one(tmp_path: Path) -> None:
    (tmp_path / "peace").mkdir()
    world = World(train=16, test=64, kills=0, seed=0)
    peace = await undisturbed(tmp_path / "peace", world)
    async with LoopbackProvider(brain=signing()) as provider:
        config_file = write_lesson(tmp_path, train=world.train, test=world.test)
        options = lesson_settings(provider.openai_base_url, limits__in_flight=256)
        cap = ("--set", "budget.calls=120")

        paused = await funcforge(
            "train", config_file, "--json", "--quiet", *options, *cap, cwd=tmp_path
        )
        asked = len(provider.ledger)
        end = await goes_on(tmp_path, paused, peace, "--set", "budget.calls=100000")

    assert paused.code == 3, paused.err
    assert (paused.told["status"], paused.told["stopped_by"]) == ("paused", "budget")
    assert asked == 120
    assert end.told["usage"]["calls"] == len(provider.ledger) == peace.asked
