"""Several workers, as one `Executor`: gives episodes out, and replaces workers that die."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from ...engine.calls import ModelCalls
from ...engine.change import Change
from ...engine.episode import Episode, Failure, Job
from ...engine.errors import WorkersLost
from ...engine.parameters import Parameters
from ...engine.ports import Executor
from ...engine.tasks import Task
from .bench import Setup
from .member import Link, Member, WorkerGone
from .strands import Strands

LIVES = 3  # workers that an episode may lose before it counts as failed
DEATHS_EACH = 3  # of workers, with no episode ended in between: then none will
SILENCE_S = 60.0  # a loop that does not turn for so long hangs


class Workplace(Protocol):
    """Starts workers: as processes here, as actors on a cluster."""

    async def start(self, setup: Setup, member: Member) -> Link:
        """Start one, have it set up, and connect it with its member.

        Raises:
            ConfigError: There is no place for it.
        """
        ...


@asynccontextmanager
async def open_crew(
    workplace: Workplace, setup: Setup, workers: int, *, silence_s: float = SILENCE_S
) -> AsyncGenerator[Crew]:
    """Begin to start the workers; `Crew.complete` waits for them. The block's end is theirs.

    Args:
        silence_s: A worker that says nothing for so long is killed and replaced.
    """
    failed: Exception | None = None
    async with Strands() as strands, anyio.create_task_group() as group:
        crew = Crew(workers, strands, silence_s)
        for number in range(workers):
            group.start_soon(crew.keep, workplace, setup, f"worker {number + 1}")
        try:
            yield crew
        except Exception as error:
            failed = error  # raised below: the block's own error, not a group around it
        finally:
            group.cancel_scope.cancel()
    if failed is not None:
        raise failed


class Crew:
    """The workers of a run. Made by `open_crew`."""

    def __init__(self, size: int, strands: Strands, silence_s: float = SILENCE_S) -> None:
        self._size = size
        self._strands = strands
        self._silence_s = silence_s
        self._able: list[Member] = []
        self._changed = Change()
        self._deaths = 0  # since an episode ended
        self._broken: Exception | None = None

    def executor(self, calls: ModelCalls) -> Executor:
        """Return what runs episodes here, with model calls answered by `calls`."""
        return _CrewExecutor(self, calls)

    async def keep(self, workplace: Workplace, setup: Setup, name: str) -> None:
        """Have a worker work, and another in its place whenever it dies or hangs."""
        while self._broken is None:
            member = Member(name, self._strands)
            try:
                member.link = await workplace.start(setup, member)
                self._strands.start(member.listen(self._silence_s))
                await member.ready.wait()
                if member.error is not None:
                    raise member.error
                if member.gone is None:
                    self._able.append(member)
                    self._changed.tell()
                await member.over.wait()
            except Exception as error:  # what it cannot start with would meet every other one
                self._break(error)
            finally:
                if member in self._able:
                    self._able.remove(member)
                if member.link is not None:
                    await member.link.aclose()
            self._bury(member)

    async def complete(self) -> None:
        """Return when all workers are there.

        Raises:
            ConfigError, SandboxUnavailable: A worker cannot start with its setup.
            WorkersLost: They die while they start.
        """
        while len(self._able) < self._size:
            if self._broken is not None:
                raise self._broken
            await self._changed.wait()

    async def member(self) -> Member:
        """Return the worker with the fewest episodes in hand; wait while there is none.

        Raises:
            Exception: Why there will be none any more.
        """
        while True:
            if self._broken is not None:
                raise self._broken
            able = [member for member in self._able if member.gone is None]
            if able:
                return min(able, key=lambda member: member.busy)
            await self._changed.wait()

    def lives(self) -> None:
        """Take note that an episode ended: the workers do work."""
        self._deaths = 0

    def _bury(self, member: Member) -> None:
        self._deaths += 1
        if self._deaths >= DEATHS_EACH * self._size:
            self._break(
                WorkersLost(
                    f"{self._deaths} workers died and no episode ended in between; the last one, "
                    f"{member.name}, {member.gone}. What was paid for is kept: resume the run "
                    "when the cause is gone"
                )
            )

    def _break(self, error: Exception) -> None:
        if self._broken is None:
            self._broken = error
        self._changed.tell()


class _CrewExecutor:
    """Implements `engine.ports.Executor`."""

    def __init__(self, crew: Crew, calls: ModelCalls) -> None:
        self._crew = crew
        self._calls = calls

    async def execute(self, job: Job, task: Task, parameters: Parameters) -> Episode:
        """Have a worker run an episode; if it dies, another one."""
        reasons = []
        for life in range(LIVES):
            member = await self._crew.member()
            try:
                episode = await member.run(self._calls, job, task, parameters, again=life > 0)
            except WorkerGone:
                # what it was answered is committed before another asks for it
                await member.settled.wait()
                reasons.append(f"{member.name} {member.gone}")
                continue
            self._crew.lives()
            return episode
        return Episode(
            id=job.episode_id,
            run_id=self._calls.run_id,
            job=job,
            prompt=task.prompt,
            end="failed",
            failure=Failure(
                kind="worker", message=f"{LIVES} workers died with it: {'; '.join(reasons)}"
            ),
        )
