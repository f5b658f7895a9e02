"""Fans episodes out: bounded, structured, streaming."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

import anyio
from anyio.abc import TaskGroup

from .bus import EventBus
from .episode import Episode, Job
from .errors import BudgetExhausted, FuncforgeError, Interrupted
from .events import EpisodeFinished
from .parameters import Parameters
from .ports import Executor, RunStore
from .tasks import Task

Stop = Callable[[Episode], FuncforgeError | None]
"""Looks at every finished episode; returns why no more should go out, or None."""

Gate = Callable[[], Awaitable[None]]
"""Waited for before each job goes out."""


class Scheduler:
    """Runs jobs, at most `in_flight` at a time over all that is going on in the run.

    Args:
        in_flight: Episodes at once. Memory grows with it, not with the number of jobs.
        record: Where finished episodes of an earlier process are found; None for a fresh run.
        gate: What each job waits for first; None: nothing.
    """

    def __init__(
        self,
        executor: Executor,
        bus: EventBus,
        *,
        in_flight: int,
        record: RunStore | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._executor = executor
        self._bus = bus
        self._in_flight = in_flight
        self._record = record
        self._gate = gate
        self._slots = anyio.Semaphore(in_flight, fast_acquire=True)
        self._stopping: FuncforgeError | None = None

    def stop(self, reason: FuncforgeError | None = None) -> None:
        """Send nothing more out; what is in flight is finished. `run` then raises the reason."""
        if self._stopping is None:
            self._stopping = reason or Interrupted("the run was asked to stop")

    @property
    def stopping(self) -> FuncforgeError | None:
        """Why nothing more goes out, if so."""
        return self._stopping

    async def run(
        self, jobs: Iterable[tuple[Job, Task]], parameters: Parameters, *, stop: Stop
    ) -> None:
        """Run all jobs of one parameters version and publish each episode as it ends.

        Jobs are drawn from the iterable one by one, when there is room for them.

        Raises:
            BudgetExhausted, Interrupted: After all that was in flight has ended.
            FuncforgeError: Whatever `stop` returned.
        """
        wave = _Wave(iter(jobs), stop)
        async with anyio.create_task_group() as group:
            # a worker starts the next one only when there is a job for it
            group.start_soon(self._work, wave, parameters, group, 1)
        if wave.error is not None:
            raise wave.error
        if self._stopping is not None:
            raise self._stopping

    async def _work(
        self,
        wave: _Wave,
        parameters: Parameters,
        group: TaskGroup,
        number: int,
    ) -> None:
        while wave.error is None and self._stopping is None:
            job_and_task = next(wave.jobs, None)
            if job_and_task is None:
                return
            if number < self._in_flight:
                group.start_soon(self._work, wave, parameters, group, number + 1)
            number = self._in_flight  # each worker starts at most one other
            if self._gate is not None:
                await self._gate()
            async with self._slots:
                if wave.error is None and self._stopping is None:
                    await self._one(wave, *job_and_task, parameters)

    async def _one(self, wave: _Wave, job: Job, task: Task, parameters: Parameters) -> None:
        episode: Episode | None = None
        if self._record is not None:
            episode = await self._record.find_episode(self._bus.run_id, job.episode_id)
        if episode is None:
            try:
                episode = await self._executor.execute(job, task, parameters)
            except BudgetExhausted as error:
                # the others drain: what they were paid for is kept
                self.stop(error)
                return
        await self._bus.publish(EpisodeFinished(run_id=episode.run_id, episode=episode))
        if wave.error is None and (reason := wave.stop(episode)) is not None:
            wave.error = reason
            self.stop(reason)  # what runs beside this wave stops now, not when this one has drained


class _Wave:
    """Jobs that are waiting, and why they may have to."""

    def __init__(self, jobs: Iterator[tuple[Job, Task]], stop: Stop) -> None:
        self.jobs = jobs
        self.stop = stop
        self.error: FuncforgeError | None = None
