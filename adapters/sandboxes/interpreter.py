"""An interpreter whose variables last for one episode."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ...engine.errors import ConfigError, SandboxError
from ...engine.functions import Function
from ...engine.ports import CallResult
from .parent import Child

if TYPE_CHECKING:
    from .pool import Pool

_PIECE_BYTES = 1 << 20
_LOST = " The interpreter starts anew with the next block: variables and files are lost."


class PoolInterpreter:
    """Implements `engine.ports.Interpreter`. Frozen between its blocks, so it uses no time."""

    def __init__(
        self,
        pool: Pool,
        functions: Sequence[Function],
        files: Mapping[str, str],
        *,
        running: anyio.CapacityLimiter,
        places: anyio.Semaphore,
    ) -> None:
        for name in files:
            if Path(name).name != name or name in ("", ".", ".."):
                raise ConfigError(f"{name!r} is no plain file name", key="files")
        self._pool = pool
        self._functions = functions
        self._files = files
        self._running = running
        self._places = places
        self._has_place = False
        self._child: Child | None = None
        self._turn = anyio.Lock()

    async def run(self, code: str) -> CallResult:
        """Run a block. The value of a last expression counts as output. Never raises for code."""
        async with self._turn:
            if not self._has_place:
                await self._places.acquire()
                self._has_place = True
            async with self._running:
                return await self._run(code)

    async def aclose(self) -> None:
        """End the process, if there is one. Safe under cancellation."""
        child, self._child = self._child, None
        if child is not None:
            await child.discard()
        if self._has_place:
            self._has_place = False
            self._places.release()

    async def _run(self, code: str) -> CallResult:
        finished = False
        try:
            if self._child is None:
                failure = await self._start(code)
                if failure is not None:
                    return failure
            else:
                await self._child.thaw()
            assert self._child is not None
            result = await self._pool.run(self._child, {"do": "block", "code": code})
            finished = not self._child.ended.is_set() and result.outcome != "timeout"
            finished = finished and not result.error.startswith("the process ")
            if finished:
                await self._child.freeze()
                return result
            return replace(result, error=f"{result.error}.{_LOST}")
        finally:
            if not finished and self._child is not None:
                child, self._child = self._child, None
                await child.discard()

    async def _start(self, code: str) -> CallResult | None:
        """Start the process and prepare it. Returns what went wrong, if something did."""
        declared = [name for function in self._functions for name in function.packages]
        packages = self._pool.packages_of(declared, code, *(f.code for f in self._functions))
        try:
            self._child = await self._pool.child(packages, spares=0)
            for request in self._preparations():
                result = await self._pool.run(self._child, request)
                if result.outcome != "value":
                    return replace(result, outcome="system_failure")
        except (SandboxError, OSError) as error:
            return CallResult(outcome="system_failure", error=str(error))
        return None

    def _preparations(self) -> Iterator[dict[str, Any]]:
        for name, path in self._files.items():
            data = Path(path).read_bytes()
            for start in range(0, max(len(data), 1), _PIECE_BYTES):
                piece = base64.b64encode(data[start : start + _PIECE_BYTES]).decode("ascii")
                yield {"do": "file", "name": name, "data": piece, "more": start > 0}
        for function in self._functions:
            yield {"do": "define", "name": function.name, "code": function.code}
