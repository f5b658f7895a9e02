"""The store in memory: the twin of SQLite, for tests, simulations and runs nobody will resume."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

from ..engine.checkpoint import CallRecord, Checkpoint, RunRecord
from ..engine.clock import SystemClock
from ..engine.episode import Episode
from ..engine.errors import RunOwned
from ..engine.events import (
    TRANSIENT,
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    RunFinished,
    StepDecided,
    event_key,
)
from ..engine.messages import Tool
from ..engine.parameters import Parameters
from ..engine.ports import Clock
from ..engine.usage import NO_USAGE, Usage
from . import rows
from .rows import Row
from .spelling import column, read, spell

_Key = tuple[Any, ...]


class _Run:
    """A run and how it stands."""

    def __init__(self, record: RunRecord, at_unix_s: float) -> None:
        self.record = record
        self.at_unix_s = at_unix_s
        self.stopped_by = ""
        self.message = ""
        self.seconds = 0.0
        self.owned = True

    def alive(self, at_unix_s: float) -> None:
        self.seconds += max(0.0, at_unix_s - self.at_unix_s)
        self.at_unix_s = max(at_unix_s, self.at_unix_s)


class MemoryStore:
    """A `Store` and `CacheStore` that holds values as they are; rows are made when asked for."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._runs: dict[str, _Run] = {}
        self._parameters: dict[str, Parameters] = {}
        self._started: dict[_Key, EvaluationStarted] = {}
        self._finished: dict[_Key, EvaluationFinished] = {}
        self._episodes: dict[_Key, EpisodeFinished] = {}
        self._decisions: dict[_Key, StepDecided] = {}
        self._events: dict[_Key, Event] = {}
        self._checkpoints: dict[_Key, str] = {}
        self._calls: dict[_Key, CallRecord] = {}
        self._cached: dict[_Key, CallRecord] = {}
        self._lost: dict[str, Usage] = {}

    # -- runs -------------------------------------------------------------------------------

    async def begin(self, run: RunRecord) -> None:
        """Store a new run, or take over a stopped one.

        Raises:
            RunOwned: It is worked on already.
        """
        now_s = self._clock.unix_s()
        known = self._runs.get(run.id)
        if known is None:
            created_s = run.created_at_unix_s or now_s
            run = replace(run, status="running", created_at_unix_s=created_s)
            self._runs[run.id] = _Run(run, now_s)
            return
        if known.owned:
            raise RunOwned(
                f"run {run.id} in memory is worked on by this process. Wait for it or stop it",
                path="memory",
            )
        known.record = replace(
            known.record,
            name=run.name,
            config=run.config,
            task_hashes=run.task_hashes,
            sandbox=run.sandbox,
            status="running",
        )
        known.stopped_by = known.message = ""
        known.at_unix_s = now_s
        known.owned = True

    def release(self, run_id: str) -> None:
        """Give a run up. One that has not said how it ended is marked interrupted."""
        run = self._runs.get(run_id)
        if run is None or not run.owned:
            return
        run.owned = False
        if run.record.status == "running":
            run.record = replace(run.record, status="interrupted")
            run.stopped_by = "interrupt"
            run.alive(self._clock.unix_s())

    def crash(self) -> None:
        """Forget who works on what, as the death of a process does. For simulations."""
        for run in self._runs.values():
            run.owned = False

    async def load_run(self, run_id: str) -> RunRecord | None:
        """Return a run as it was last begun, with its status now."""
        run = self._runs.get(run_id)
        return run.record if run else None

    async def seconds(self, run_id: str) -> float:
        """Return how long a run was at work, over all its stops; 0 for an unknown run."""
        run = self._runs.get(run_id)
        return run.seconds if run else 0.0

    # -- events and checkpoints -------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        match event:
            case EpisodeFinished():
                self._take_episode(event)
                return
            case RunFinished():
                self._end(event)
                return
            case _ if type(event).__name__ in TRANSIENT:
                return
            case EvaluationStarted():
                self._parameters.setdefault(event.parameters.version, event.parameters)
                self._started[event.run_id, event.evaluation] = event
            case EvaluationFinished():
                self._finished[event.run_id, event.evaluation] = event
            case StepDecided():
                self._parameters.setdefault(event.candidate.version, event.candidate)
                self._decisions[event.run_id, event.step] = event
        self._events[event.run_id, event_key(event)] = event

    def _take_episode(self, event: EpisodeFinished) -> None:
        episode = event.episode
        earlier = self._episodes.get((episode.run_id, episode.id))
        if earlier is None and episode.run_id in self._runs:
            self._runs[episode.run_id].alive(event.at_unix_s)
        if earlier is None or earlier.episode.score is None:
            self._episodes[episode.run_id, episode.id] = event

    def _end(self, event: RunFinished) -> None:
        run = self._runs.get(event.run_id)
        if run is None:
            return
        status: Any = event.status
        run.record = replace(run.record, status=status)
        run.stopped_by, run.message = event.stopped_by, event.message
        run.seconds, run.at_unix_s = event.seconds, event.at_unix_s
        run.owned = False

    async def save_checkpoint(self, run_id: str, checkpoint: Checkpoint) -> None:
        # spelled, so that what comes back is what a file would give back
        self._checkpoints[run_id, checkpoint.step] = spell(checkpoint.state)

    async def load_checkpoint(self, run_id: str) -> Checkpoint | None:
        steps = [step for run, step in self._checkpoints if run == run_id]
        if not steps:
            return None
        return Checkpoint(step=max(steps), state=read(self._checkpoints[run_id, max(steps)]))

    # -- episodes and parameters ------------------------------------------------------------

    async def find_episode(self, run_id: str, episode_id: str) -> Episode | None:
        event = self._episodes.get((run_id, episode_id))
        return event.episode if event and event.episode.score else None

    async def episodes(self, run_id: str, evaluation: str) -> AsyncIterator[Episode]:
        found = [
            event.episode
            for (run, _), event in self._episodes.items()
            if run == run_id and event.episode.job.evaluation == evaluation
        ]
        for episode in sorted(found, key=lambda e: (column(e.job.task_id), e.job.repeat, e.id)):
            yield episode

    async def load_parameters(self, version: str) -> Parameters | None:
        return self._parameters.get(version)

    # -- model calls ------------------------------------------------------------------------

    async def commit_call(self, record: CallRecord) -> None:
        key = (record.run_id, record.scope, record.index, record.request_hash)
        if key in self._calls:
            return
        self._calls[key] = record
        self._cached.setdefault((record.request_hash, record.repeat), record)
        if record.run_id in self._runs:
            self._runs[record.run_id].alive(record.at_unix_s)

    async def find_call(
        self, run_id: str, scope: str, index: int, request_hash: str
    ) -> CallRecord | None:
        return self._calls.get((run_id, scope, index, request_hash))

    async def offered(self, run_id: str, scope: str) -> tuple[Tool, ...]:
        found = [r for r in self._calls.values() if (r.run_id, r.scope) == (run_id, scope)]
        return min(found, key=lambda record: record.index).request.tools if found else ()

    async def find_cached(self, request_hash: str, repeat: int) -> CallRecord | None:
        return self._cached.get((request_hash, repeat))

    async def used(self, run_id: str) -> Usage:
        return self._used(run_id)

    def _used(self, run_id: str) -> Usage:
        found = (record.reply.usage for record in self._calls.values() if record.run_id == run_id)
        return sum(map(rows.bounded, found), NO_USAGE)

    def lose(self, run_id: str, usage: Usage) -> None:
        """Count what a lost attempt used."""
        self._lost[run_id] = self._lost.get(run_id, NO_USAGE) + rows.bounded(usage)

    async def lost(self, run_id: str) -> Usage:
        """Return what the lost attempts of a run used in all."""
        return self._lost.get(run_id, NO_USAGE)

    # -- for tests and comparisons ----------------------------------------------------------

    async def dump_rows(self, run_id: str) -> dict[str, list[Row]]:
        """Return all rows of a run by table, without what two equal runs may differ in."""
        return {table: rows.ordered(made) for table, made in self._tables(run_id).items()}

    def _tables(self, run_id: str) -> dict[str, list[Row]]:
        def mine(table: dict[_Key, Any]) -> Iterator[Any]:
            return (value for key, value in table.items() if key[0] == run_id)

        episodes = [rows.episode_row(e.episode, e.at_unix_s) for e in mine(self._episodes)]
        calls = [rows.call_row(record) for record in mine(self._calls)]
        contents = {row["hash"]: row for _, used in (*calls, *episodes) for row in used}
        versions = {event.parameters.version for event in mine(self._started)}
        versions |= {event.parameters_version for event in mine(self._finished)}
        versions |= {event.candidate.version for event in mine(self._decisions)}
        parameters = [self._parameters[v] for v in versions if v in self._parameters]
        functions = {f.hash: f for version in parameters for f in version.functions}
        return {
            "runs": [self._run_row(run_id)] if run_id in self._runs else [],
            "parameters": [rows.parameters_row(version) for version in parameters],
            "functions": [rows.function_row(function) for function in functions.values()],
            "evaluations": self._evaluation_rows(run_id),
            "contents": list(contents.values()),
            "episodes": [row for row, _ in episodes],
            "function_calls": [
                row
                for event in mine(self._episodes)
                for row in rows.function_call_rows(event.episode)
            ],
            "decisions": [rows.decision_row(event) for event in mine(self._decisions)],
            "events": [rows.event_row(event) for event in mine(self._events)],
            "checkpoints": [
                {"step": step, "packed": text}
                for (run, step), text in self._checkpoints.items()
                if run == run_id
            ],
            "calls": [row for row, _ in calls],
        }

    def _run_row(self, run_id: str) -> Row:
        run = self._runs[run_id]
        return rows.run_row(run.record, run.at_unix_s) | {
            "status": run.record.status,
            "stopped_by": run.stopped_by,
            "message": run.message,
            **rows.usage_columns(self._used(run_id)),
        }

    def _evaluation_rows(self, run_id: str) -> list[Row]:
        names = {name for run, name in (*self._started, *self._finished) if run == run_id}
        made = []
        for name in names:
            row = dict.fromkeys(rows.EVALUATION_COLUMNS)
            for event in (self._started.get((run_id, name)), self._finished.get((run_id, name))):
                row |= rows.evaluation_row(event) if event else {}
            made.append(row)
        return made
