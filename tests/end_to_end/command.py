"""Runs `funcforge` in a process of its own, as a person would."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"OPENAI_API_KEY": "sk-loopback", "ANTHROPIC_API_KEY": "sk-loopback"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """The JSON object on stdout."""
        return json.loads(self.out)


async def start(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start a command; the caller ends it."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "funcforge",
        *map(str, arguments),
        cwd=cwd,
        env={**os.environ, **KEYS, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process, *, within_s: float = 300.0) -> Ended:
    """Wait for a command's end; kill it if it takes too long."""
    try:
        out, err = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(code=process.returncode, out=out.decode(), err=err.decode())


async def funcforge(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end."""
    return await ended(await start(*arguments, cwd=cwd, env=env))


def settings(**changes: object) -> list[str]:
    """Spell settings as `--set` options: `tasks__path="x"` sets tasks.path."""
    options = []
    for name, value in changes.items():
        options += ["--set", f"{name.replace('__', '.')}={json.dumps(value)}"]
    return options
