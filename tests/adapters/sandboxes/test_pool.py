"""The pool: broken parents, room for parents and interpreters, leaks, and what opening says."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from funcforge.adapters.sandboxes import Pool, SandboxSettings, open_sandbox, probe_backends
from funcforge.adapters.sandboxes import parent as parents
from funcforge.engine.errors import ConfigError, SandboxUnavailable

from tests.adapters.sandboxes.holding import descendants, descriptors, function

_IDLE = function("def f(): return 1")


def _settings(**more: object) -> SandboxSettings:
    return SandboxSettings(packages=(), **more)  # type: ignore[arg-type]


async def test_a_parent_that_dies_is_a_system_failure_and_is_replaced() -> None:
    async with open_sandbox(_settings()) as pool:
        await pool.call(_IDLE, {})
        running = asyncio.create_task(pool.call(function("def f():\n  while True: pass"), {}))
        await asyncio.sleep(0.3)  # so that it runs
        _kill_parents(pool)
        broken = await running
        after = await pool.call(_IDLE, {})

    assert broken.outcome == "system_failure"
    assert (after.outcome, after.value) == ("value", 1)


async def test_an_idle_parent_that_dies_goes_unnoticed() -> None:
    async with open_sandbox(_settings()) as pool:
        await pool.call(_IDLE, {})
        await _noticed(pool)
        after = await pool.call(_IDLE, {})

    assert after.outcome == "value"


async def test_a_backend_that_disappears_is_a_system_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_sandbox(_settings(backend="unsafe")) as pool:
        await pool.call(_IDLE, {})
        await _noticed(pool)
        gone = Path("/nonexistent/python")
        monkeypatch.setattr(pool, "_launcher", _Gone(gone))
        result = await pool.call(_IDLE, {})

    assert result.outcome == "system_failure"
    assert "/nonexistent/python" in result.error


async def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_sandbox(_settings()) as pool:
            await pool.call(_IDLE, {})
            raise KeyError("mine")


async def test_cancelling_the_owner_leaves_nothing() -> None:
    before = descendants()
    opened = asyncio.Event()

    async def own() -> None:
        async with open_sandbox(_settings()) as pool:
            opened.set()
            await asyncio.gather(
                *(pool.call(function("def f():\n  while 1: pass"), {}) for _ in "ab")
            )

    task = asyncio.create_task(own())
    await opened.wait()
    await asyncio.sleep(0.2)  # so that the calls run
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert descendants() == before


async def test_interpreters_beyond_the_cap_wait_their_turn() -> None:
    async with open_sandbox(_settings(interpreters=2)) as pool:

        async def episode(number: int) -> str:
            async with pool.interpreter() as interpreter:
                await interpreter.run(f"x = {number}")
                return (await interpreter.run("x")).stdout

        printed = await asyncio.gather(*(episode(number) for number in range(6)))

    assert printed == [f"{number}\n" for number in range(6)]


async def test_two_thousand_interpreters_may_be_open_and_few_live() -> None:
    async with open_sandbox(_settings()) as pool, asyncio.TaskGroup() as group:
        done = asyncio.Event()

        async def episode(number: int) -> None:
            async with pool.interpreter() as interpreter:
                if number == 0:
                    assert (await interpreter.run("1")).stdout == "1\n"
                    done.set()
                await done.wait()

        for number in reversed(range(2_000)):
            group.create_task(episode(number))


async def test_calls_leak_nothing() -> None:
    async with open_sandbox(_settings()) as pool:
        await asyncio.gather(*(pool.call(_IDLE, {}) for _ in range(20)))
        await asyncio.sleep(2.0)  # until the last process is gone
        before = len(descendants()), descriptors()
        await asyncio.gather(*(pool.call(_IDLE, {}) for _ in range(200)))
        for _ in range(100):  # on a busy machine the last ones take a while to end
            after = len(descendants()), descriptors()
            if after[0] <= before[0] and after[1] <= before[1]:
                break
            await asyncio.sleep(0.1)

    # fewer where one was still ending before, on a busy machine
    assert after[0] <= before[0]
    assert after[1] <= before[1]


async def test_missing_bubblewrap_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        async with open_sandbox(_settings(backend="bubblewrap")):
            pytest.fail("it opened")


async def test_every_backend_is_reported() -> None:
    reports = await probe_backends()

    assert [report.name for report in reports] == ["bubblewrap", "sandlock", "unsafe"]
    assert all(report.works or report.fix for report in reports)
    assert "NO protection" in reports[-1].reason


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="allowed are auto, bubblewrap, sandlock, unsafe"):
        SandboxSettings(backend="docker")
    with pytest.raises(ConfigError, match=r"sandbox\.wall_s"):
        SandboxSettings(wall_s=float("nan"))
    with pytest.raises(ConfigError, match=r"sandbox\.packages.*'os; rm' is no import name"):
        SandboxSettings(packages=("numpy", "os; rm"))


def _kill_parents(pool: Pool) -> None:
    for parent in pool._parents.values():
        assert parent._process is not None
        os.killpg(parent._process.pid, signal.SIGKILL)


async def _noticed(pool: Pool) -> None:
    _kill_parents(pool)
    for parent in pool._parents.values():
        await parent.gone.wait()


class _Gone:
    name = "gone"

    def __init__(self, program: Path) -> None:
        self._program = program

    def command(self, preload: object, control_fd: int) -> object:
        from funcforge.adapters.sandboxes.launch import Command

        return Command(line=(str(self._program),), variables={})


async def test_a_parent_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parents, "_CHILD_START_S", 0.3)
    monkeypatch.setattr(parents, "_CLOSE_S", 0.3)
    async with open_sandbox(_settings(parallel=1, wall_s=0.5)) as pool:
        await pool.call(_IDLE, {})
        for pid in descendants():
            with suppress(ProcessLookupError):  # the last call's, which is ending
                os.kill(pid, signal.SIGSTOP)
        await pool.call(_IDLE, {})  # of the spare child, which was ready
        after = await pool.call(_IDLE, {})

    assert (after.outcome, after.value) == ("value", 1)


async def test_a_flood_of_messages_leaves_everybody_else_a_turn() -> None:
    flood = """
import os, stat
def f():
    mine = [fd for fd in range(3, 64) if is_socket(fd)]
    while True:
        os.write(mine[0], b'\\0\\0\\0\\x0a{"out":""}' * 1000)
def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
"""
    worst_s = 0.0
    async with open_sandbox(_settings()) as pool:
        await pool.call(_IDLE, {})
        flooding = asyncio.create_task(pool.call(function(flood), {}))
        while not flooding.done():
            began_s = time.monotonic()
            await asyncio.sleep(0.005)
            worst_s = max(worst_s, time.monotonic() - began_s)
        result = await flooding

    assert result.outcome == "exception"
    assert worst_s < 0.5  # 1.7 s before, for each such call


async def test_empty_lines_cost_no_time() -> None:
    async with open_sandbox(_settings()) as pool:
        began_s = time.monotonic()
        packages = pool.packages_of((), "\n" * 300_000 + "import numpy")

    assert time.monotonic() - began_s < 1.0  # minutes, when each line tried all that follow
    assert packages == ()
