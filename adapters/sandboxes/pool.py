"""The sandbox: warm parents by set of packages, and a confined child for each call."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ...engine.episode import CallOutcome
from ...engine.errors import InvalidReply, SandboxError
from ...engine.functions import Function
from ...engine.ports import CallResult, Interpreter
from .endings import describe_ending, result_of
from .environment import Environment
from .interpreter import PoolInterpreter
from .launch import Backend
from .parent import Child, Parent
from .settings import SandboxSettings

_MOST_PARENTS = 6  # each holds its packages in memory, up to 200 MB
_IDLE_S = 300.0  # after which a parent makes room
_TRIES = 2  # a parent that is found broken is replaced once


class Pool:
    """Implements `engine.ports.Sandbox`. Made by `open_sandbox`."""

    def __init__(
        self,
        backend: Backend,
        settings: SandboxSettings,
        environment: Environment,
        tasks: TaskGroup,
    ) -> None:
        self.backend = backend.name
        self.settings = settings
        self.environment = environment
        self._launcher = backend
        self._tasks = tasks
        self._parents: dict[tuple[str, ...], Parent] = {}
        self._starting: dict[tuple[str, ...], anyio.Lock] = {}
        self._running = anyio.CapacityLimiter(settings.cores)
        self._interpreters = anyio.Semaphore(settings.interpreters)
        self._names = re.compile(
            # no newline in the spaces: thousands of empty lines would be tried from each one
            rf"^[ \t]*(?:import|from)[ \t][^#\n]*?\b({'|'.join(environment.packages) or '(?!)'})\b",
            re.M,
        )

    async def check(self, function: Function) -> CallResult:
        """Load a function without calling it."""
        request = {"do": "check", "schema": dict(function.arguments)}
        return await self.once(function, request)

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        """Call a function with keyword arguments."""
        return await self.once(function, {"do": "call", "arguments": dict(arguments)})

    def interpreter(
        self, *, functions: Sequence[Function] = (), files: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Interpreter]:
        """Open an interpreter for one episode. It starts at its first block."""
        return self._interpreter(tuple(functions), dict(files or {}))

    async def once(
        self, function: Function, request: dict[str, Any], *, wall_s: float | None = None
    ) -> CallResult:
        """Have a child of its own work on one request about a function.

        Args:
            function: Whose code is loaded.
            request: What is to be done with it.
            wall_s: Another time limit than the settings'.
        """
        if refusal := self.environment.refusal(function.packages):
            return CallResult(outcome="refused", error=refusal)
        request |= {"name": function.name, "code": function.code}
        packages = self.packages_of(function.packages, function.code)
        async with self._running:
            try:
                child = await self.child(packages, spares=self.settings.cores)
            except SandboxError as error:
                return CallResult(outcome="system_failure", error=str(error))
            try:
                return await self.run(child, request, wall_s=wall_s)
            finally:
                await child.discard()

    async def run(
        self, child: Child, request: Mapping[str, Any], *, wall_s: float | None = None
    ) -> CallResult:
        """Have a child work on one request, within the limits."""
        try:
            letter = child.spell(request)
        except (TypeError, ValueError, RecursionError) as error:
            return CallResult(outcome="exception", error=f"the arguments are no JSON: {error}")
        wall_s = self.settings.wall_s if wall_s is None else wall_s
        stdout: list[str] = []
        answer: Any = None
        trouble = ""
        started_s = time.monotonic()
        with anyio.move_on_after(wall_s) as time_limit:
            try:
                await child.send(letter)
                answer = await child.answer(stdout, self.settings.output_bytes)
                if answer is None:
                    await child.ended.wait()
            except InvalidReply as error:
                trouble = str(error)
        elapsed_s = time.monotonic() - started_s
        text = "".join(stdout)
        if answer is not None:
            return result_of(answer, text, elapsed_s)
        outcome: CallOutcome = "exception"
        if time_limit.cancelled_caught:
            outcome = "timeout"
            reason = f"it ran longer than {wall_s:g} s and was ended"
        elif trouble:
            reason = f"the process sent no valid result: {trouble}"
        else:
            limit_s = self.settings.cpu_limit_s
            outcome, reason = describe_ending(child.status, child.trouble, elapsed_s, limit_s)
        return CallResult(outcome=outcome, error=reason, stdout=text, elapsed_s=elapsed_s)

    async def child(self, packages: tuple[str, ...], *, spares: int) -> Child:
        """Return a confined child whose parent has `packages` imported.

        Raises:
            SandboxError: None can be had.
        """
        for attempt in range(_TRIES):
            try:
                parent = await self._parent(packages)
                child = await parent.child(spares)
            except SandboxError:
                if attempt + 1 == _TRIES:
                    raise
                continue
            try:
                await child.ready()
            except SandboxError:
                await child.discard()
                if attempt + 1 == _TRIES or not parent.broken:
                    raise
            except BaseException:
                await child.discard()
                raise
            else:
                return child
        raise SandboxError("no child could be started")

    def packages_of(self, declared: Sequence[str], *codes: str) -> tuple[str, ...]:
        """Return the packages to have ready: those declared, and those the code seems to import.

        A guess by text, since the engine never parses untrusted code. A wrong one costs time only.
        """
        named = {name.partition(".")[0] for name in declared}
        for code in codes:
            named.update(self._names.findall(code))
        return tuple(sorted(named & set(self.environment.packages)))

    async def aclose(self) -> None:
        """End every process. Safe under cancellation."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                for parent in self._parents.values():
                    closing.start_soon(parent.aclose)
        self._parents.clear()

    @asynccontextmanager
    async def _interpreter(
        self, functions: tuple[Function, ...], files: dict[str, str]
    ) -> AsyncIterator[Interpreter]:
        interpreter = PoolInterpreter(
            self, functions, files, running=self._running, places=self._interpreters
        )
        try:
            yield interpreter
        finally:
            await interpreter.aclose()

    async def _parent(self, packages: tuple[str, ...]) -> Parent:
        async with self._starting.setdefault(packages, anyio.Lock()):
            parent = self._parents.get(packages)
            if parent is not None and parent.broken:
                await self._parents.pop(packages).aclose()
                parent = None
            if parent is None:
                await self._make_room()
                parent = Parent(self._launcher, packages)
                await parent.start(self._tasks)
                self._parents[packages] = parent
            parent.used_at_s = time.monotonic()
            return parent

    async def _make_room(self) -> None:
        """Close parents that nobody uses: the long idle ones, and the longest idle if too many."""
        idle = [p for p in self._parents.values() if not p.busy]
        idle.sort(key=lambda parent: parent.used_at_s)
        now_s = time.monotonic()
        too_many = len(self._parents) + 1 - _MOST_PARENTS
        for position, parent in enumerate(idle):
            if position < too_many or now_s - parent.used_at_s > _IDLE_S:
                self._parents.pop(parent.preload, None)
                await parent.aclose()
