"""What bubblewrap gives beyond the contract of every sandbox."""

from __future__ import annotations

import os
import shutil

import psutil
import pytest
from funcforge.adapters.sandboxes import SandboxSettings, open_sandbox

from tests.adapters.sandboxes.holding import descendants, function

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")


async def test_only_what_a_call_needs_is_there() -> None:
    code = """
import os, sys
def f():
    return {"root": sorted(os.listdir("/")), "proc": os.listdir("/proc"), "pid": os.getpid(),
            "devices": sorted(os.listdir("/dev")), "uid": os.getuid(), "host": os.uname().nodename,
            "environment": dict(os.environ), "arguments": sys.argv}
"""
    async with open_sandbox(SandboxSettings(backend="bubblewrap", packages=())) as sandbox:
        result = await sandbox.call(function(code), {})

    assert result.error == ""
    expected = {"dev", "lib", "lib64", "packages", "proc", "python", "runtime", "tmp", "usr"}
    assert set(result.value.pop("root")) <= expected
    assert result.value == {
        "proc": [],
        "pid": 1,
        "devices": ["null", "random", "urandom", "zero"],
        "uid": 1000,
        "host": "sandbox",
        "environment": {},
        "arguments": [""],
    }


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give up")
async def test_root_gives_itself_up() -> None:
    async with open_sandbox(SandboxSettings(backend="bubblewrap", packages=())) as sandbox:
        await sandbox.call(function("def f(): pass"), {})
        users = {
            user
            for process in psutil.Process().children(recursive=True)
            if process.name().startswith("python")
            for user in process.uids()
        }

    assert 0 not in users
    assert len(users) == 1


async def test_threads_are_limited() -> None:
    code = """
import threading, time
def f():
    started = 0
    try:
        for _ in range(1000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            started += 1
    except RuntimeError:
        return started
"""
    settings = SandboxSettings(backend="bubblewrap", packages=(), threads=8, memory_mb=2_000)
    async with open_sandbox(settings) as sandbox:
        result = await sandbox.call(function(code), {})
        again = await sandbox.call(function(code), {})

    assert result.value == again.value
    assert 1 <= result.value <= 8


async def test_closing_leaves_nothing() -> None:
    before = descendants()

    async with open_sandbox(SandboxSettings(backend="bubblewrap", packages=())) as sandbox:
        async with sandbox.interpreter() as interpreter:
            await interpreter.run("x = 1")
        await sandbox.call(function("def f(): pass"), {})
        assert len(descendants()) > len(before)

    assert descendants() == before
