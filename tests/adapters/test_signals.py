"""Ctrl-C: the first drains, the second stops now."""

from __future__ import annotations

import os
import signal

import anyio
import anyio.lowlevel
import pytest
from funcforge.adapters.cli import signals
from funcforge.adapters.cli.signals import stopping


async def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    await anyio.lowlevel.checkpoint()


async def test_the_first_signal_drains() -> None:
    drained = anyio.Event()

    async with stopping() as stopper:
        await anyio.lowlevel.checkpoint()
        stopper.drain_with(drained.set)
        await send(signal.SIGTERM)
        await drained.wait()

    assert stopper.interrupted


async def test_the_second_signal_stops_now() -> None:
    drained = anyio.Event()
    reached_end = False

    async with stopping() as stopper:
        await anyio.lowlevel.checkpoint()
        stopper.drain_with(drained.set)
        await send(signal.SIGINT)
        await drained.wait()
        await send(signal.SIGINT)
        await anyio.sleep_forever()
        reached_end = True

    assert not reached_end


async def test_a_signal_before_the_run_began_stops_at_once() -> None:
    async with stopping() as stopper:
        await anyio.lowlevel.checkpoint()
        await send(signal.SIGINT)
        await anyio.sleep_forever()

    assert stopper.interrupted


async def test_the_grace_period_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "GRACE_S", 0.01)

    async with stopping() as stopper:
        await anyio.lowlevel.checkpoint()
        stopper.drain_with(lambda: None)
        await send(signal.SIGINT)
        await anyio.sleep_forever()

    assert stopper.interrupted


async def test_without_a_signal_nothing_is_stopped_and_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async with stopping() as stopper:
        await anyio.lowlevel.checkpoint()

    assert not stopper.interrupted
    assert signal.getsignal(signal.SIGTERM) == before


async def test_an_error_within_passes_through() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with stopping():
            raise ValueError("inside")

    assert caught.group_contains(ValueError, match="inside")
