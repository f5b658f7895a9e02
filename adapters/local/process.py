"""A worker process as its parent holds it: lines of JSON in and out, ended with the parent."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

NEEDED = ("torch", "transformers", "trl", "peft", "datasets")
INSTALL = "pip install 'funcforge[finetune]'"
_ENDING_S = 2.0  # what a worker gets for ending by itself
LONGEST_LINE = 64 * 1024 * 1024  # bytes
_WORKER = "funcforge.adapters.local.worker"
# what a worker may know of this process's environment: no key is among it
_PASSED_ON = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH"}
    | {"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "SYSTEMROOT"}
)
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def missing_packages() -> tuple[str, ...]:
    """Return the packages of the extra that are not installed, without importing them."""
    return tuple(name for name in NEEDED if find_spec(name) is None)


class Worker:
    """A process that holds torch. Ends when its stdin does: with its parent, whatever happens."""

    def __init__(self, process: Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._in = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def start(cls, spec: Mapping[str, Any], log: Path) -> Self:
        """Start a worker and tell it what it is for.

        Args:
            spec: The first line it reads.
            log: What its libraries print goes there.
        """
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        with log.open("ab") as stderr:
            process = await anyio.open_process(
                [sys.executable, "-m", _WORKER],
                stderr=stderr,
                env={**environment, **_OFFLINE},
                start_new_session=True,  # a person's Ctrl-C is ours to pass on
            )
        worker = cls(process)
        await worker.tell(spec)
        return worker

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message. One that cannot arrive is lost: `messages` ends then."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._in.send(json.dumps(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Iterate over what the worker says, until it ends."""
        while True:
            try:
                line = await self._lines.receive_until(b"\n", LONGEST_LINE)
            except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError):
                return
            yield json.loads(line)

    async def aclose(self) -> int:
        """End it, and return its exit code."""
        with anyio.CancelScope(shield=True):
            with suppress(OSError):
                await self._in.aclose()  # it ends by itself then, unless it is stuck
            with anyio.move_on_after(_ENDING_S):
                await self._process.wait()
            with suppress(ProcessLookupError):
                if self._process.returncode is None:
                    self._process.kill()
            code = await self._process.wait()
            await self._process.aclose()
        return code


def last_words(log: Path) -> str:
    """Return the last line that a worker printed, for a message."""
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
