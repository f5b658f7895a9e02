"""The loopback provider as a process of its own: it outlives the client's kill -9.

    python -m tests.loopback.provider --brain tests.loopback.brains:fixed --ledger calls.jsonl

prints one JSON line `{"openai": URL, "anthropic": URL, "pid": N}` and serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .faults import TRANSIENT, Fault, RateLimiter, SeededFaults
from .ledger import Ledger
from .provider import Brain, LoopbackProvider
from .tuning import TuningDesk

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteProvider:
    """A provider in another process."""

    openai_base_url: str
    anthropic_base_url: str
    pid: int
    ledger_path: Path | None

    @property
    def ledger(self) -> Ledger:
        """The ledger as it stands now, read from its file."""
        if self.ledger_path is None:
            raise ValueError("this provider keeps no ledger file")
        return Ledger.read(self.ledger_path)


@asynccontextmanager
async def provider_process(
    *options: str, brain: str, ledger_path: Path | None = None
) -> AsyncGenerator[RemoteProvider]:
    """Start a provider in a process; end it with the block.

    Args:
        options: Further command-line options, such as "--latency", "0.2".
        brain: `module:name` of a brain, or of a function without parameters that makes one
            if written `module:name()`.
        ledger_path: Where it keeps its ledger.
    """
    command = [sys.executable, "-m", "tests.loopback.provider", "--brain", brain, *options]
    if ledger_path is not None:
        command += ["--ledger", str(ledger_path)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError(f"the provider did not start: {' '.join(command)}")
        told = json.loads(line)
        yield RemoteProvider(
            openai_base_url=told["openai"],
            anthropic_base_url=told["anthropic"],
            pid=told["pid"],
            ledger_path=ledger_path,
        )
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def load_brain(name: str) -> Brain:
    """Import a brain by `module:name`; `module:name()` calls a factory."""
    module, _, attribute = name.partition(":")
    makes = attribute.endswith("()")
    found = getattr(importlib.import_module(module), attribute.removesuffix("()"))
    brain: Brain = found() if makes else found
    return brain


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback.provider")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--brain", default="tests.loopback.brains:echo", help="module:name")
    parser.add_argument("--ledger", type=Path, help="JSON lines file, appended to")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of calls, 0..1")
    parser.add_argument("--fault-seed", type=int, default=0)
    parser.add_argument("--fault-kinds", default=",".join(TRANSIENT))
    parser.add_argument("--fault-attempts", type=int, help="only so many attempts of one body")
    parser.add_argument("--requests-per-minute", type=float)
    parser.add_argument("--concurrent", type=int)
    parser.add_argument("--retry-after", type=float, default=0.05)
    parser.add_argument("--tuning-polls", type=int, help="fine-tunes, in so many polls")
    parser.add_argument("--hang", type=float, default=600.0)
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    faults = limiter = None
    if options.fault_rate:
        kinds = [Fault(name) for name in options.fault_kinds.split(",")]
        faults = SeededFaults(
            rate=options.fault_rate,
            kinds=kinds,
            seed=options.fault_seed,
            first_attempts=options.fault_attempts,
        )
    if options.requests_per_minute or options.concurrent:
        limiter = RateLimiter(
            requests_per_minute=options.requests_per_minute, concurrent=options.concurrent
        )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with LoopbackProvider(
        brain=load_brain(options.brain),
        latency_s=options.latency,
        faults=faults,
        limiter=limiter,
        ledger_path=options.ledger,
        retry_after_s=options.retry_after,
        hang_s=options.hang,
        tuning=None if options.tuning_polls is None else TuningDesk(options.tuning_polls),
        port=options.port,
    ) as provider:
        urls = {"openai": provider.openai_base_url, "anthropic": provider.anthropic_base_url}
        print(json.dumps(urls | {"pid": os.getpid()}), flush=True)
        await stop.wait()
