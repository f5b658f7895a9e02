"""Fences an episode's environment off: calls in order, in time, and its own faults named so."""

from __future__ import annotations

import hashlib
import json
import math
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import anyio

from .canonical import canonical_json
from .clock import SystemClock
from .errors import EnvironmentFailed, FuncforgeError
from .messages import Tool
from .ports import CallResult, Clock, Environment, EnvironmentSession
from .tasks import Task
from .workspace import FrozenTool

Result = TypeVar("Result")
_SHOWN_ERROR = 2_000  # characters of a foreign traceback that are kept
STATE_BYTES = 256_000  # of a snapshot: one is kept with every episode


def environment_seed(seed: int, task_id: str, repeat: int) -> int:
    """Return the seed of an episode's world: incumbent and candidate play in the same one."""
    text = f"{seed}\x00{task_id}\x00{repeat}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big")  # 56 bits: any language's integers hold it


@asynccontextmanager
async def open_world(
    environment: Environment,
    task: Task,
    *,
    seed: int,
    timeout_s: float,
    clock: Clock | None = None,
) -> AsyncGenerator[World]:
    """Open an environment for one attempt at an episode.

    Args:
        timeout_s: For opening it, for each call, and for closing it.

    Raises:
        EnvironmentFailed: It cannot be opened, or breaks the rules of `EnvironmentSession`.
    """
    within: BaseException | None = None  # raised by the episode, not by its environment
    try:
        with anyio.CancelScope(deadline=anyio.current_time() + timeout_s) as deadline:
            async with environment.open(task, seed=seed) as session:
                deadline.deadline = math.inf
                try:
                    yield World(session, timeout_s, clock or SystemClock())
                except BaseException as error:
                    within = error
                    raise
                finally:
                    deadline.deadline = anyio.current_time() + timeout_s
    except FuncforgeError:
        raise
    except Exception as error:
        if within is not None:
            raise
        raise _broken("opening or closing", error) from error
    if within is not None:
        raise within  # an environment must not swallow it
    if deadline.cancelled_caught:
        raise EnvironmentFailed(
            f"the environment hangs: opening or closing it took more than {timeout_s:g} s"
        )


class World:
    """An opened environment as the workspace uses it.

    A call that takes too long fails the system, not the agent: how long an API takes is the
    environment's doing and hangs on the machine, so that it must not become a score; and nobody
    knows the state that a call left when it was cut off.
    """

    def __init__(self, session: EnvironmentSession, timeout_s: float, clock: Clock) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._clock = clock
        self._one_call = anyio.Lock()  # first come, first served: the order in which they began

    def tools(self) -> tuple[FrozenTool, ...]:
        """Return the tools for an `EpisodeWorkspace`.

        Raises:
            EnvironmentFailed: It raised, gave something else, or one name twice.
        """
        with _named("tools()"):
            tools = tuple(self._session.tools())
        for tool in tools:
            if not isinstance(tool, Tool):
                raise EnvironmentFailed(f"tools() gave {tool!r:.200}, which is no Tool")
        names = [tool.name for tool in tools]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise EnvironmentFailed(f"tools() gave two tools named {twice!r}")
        return tuple(FrozenTool(tool=tool, call=self._caller(tool.name)) for tool in tools)

    def state(self) -> Any:
        """Return the snapshot, as it comes back from a store.

        Raises:
            EnvironmentFailed: It raised, is no JSON, or is longer than is kept.
        """
        with _named("snapshot()"):
            spelled = canonical_json(self._session.snapshot())
        if len(spelled) > STATE_BYTES:
            raise EnvironmentFailed(
                f"snapshot() gave {len(spelled):,} characters of JSON; at most {STATE_BYTES:,} "
                "are kept with an episode"
            )
        return json.loads(spelled)

    def _caller(self, name: str) -> Callable[[Mapping[str, Any]], Awaitable[CallResult]]:
        async def call(arguments: Mapping[str, Any]) -> CallResult:
            async with self._one_call:
                return await self._call(name, arguments)

        return call

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> CallResult:
        started_s = self._clock.monotonic_s()
        result = await _in_time(self._session.call(name, arguments), name, self._timeout_s)
        if not isinstance(result, CallResult):
            raise EnvironmentFailed(f"{name} gave {result!r:.200}, which is no CallResult")
        if result.outcome == "system_failure":
            raise EnvironmentFailed(f"{name} failed: {result.error:.2000}")
        with _named(name):
            canonical_json(result.value)  # what is no JSON may show an address, never the same
        return replace(result, elapsed_s=self._clock.monotonic_s() - started_s)


async def _in_time(awaitable: Awaitable[Result], what: str, timeout_s: float) -> Result:
    with anyio.move_on_after(timeout_s):
        try:
            return await awaitable
        except FuncforgeError:
            raise
        except Exception as error:  # an environment may raise anything
            raise _broken(what, error) from error
    raise EnvironmentFailed(f"the environment hangs: {what} took more than {timeout_s:g} s")


@contextmanager
def _named(what: str) -> Generator[None]:
    """Translate what an environment raises."""
    try:
        yield
    except FuncforgeError:
        raise
    except Exception as error:
        raise _broken(what, error) from error


def _broken(what: str, error: Exception) -> EnvironmentFailed:
    trace = "".join(traceback.format_exception(error))[-_SHOWN_ERROR:]
    return EnvironmentFailed(f"the environment broke in {what}: {error!r:.500}\n{trace}")
