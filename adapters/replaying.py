"""Re-executes a finished run from its record, without a provider, and compares the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..engine.checkpoint import CallRecord, Checkpoint, RunRecord
from ..engine.errors import ConfigError, ReplayDiffers
from ..engine.messages import Tool
from ..engine.parameters import Parameters
from ..engine.ports import EventSink
from ..storage.database import open_store
from ..storage.memory import MemoryStore
from ..storage.store import SqliteStore
from .config import Purpose, load_record
from .opening import Opening
from .wiring import open_comparison, open_evaluation, open_training

COMPARED = ("evaluations", "decisions", "episodes", "events", "calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How a replay ended. Without a difference, everything compared is identical."""

    run_id: str
    difference: str  # the first one; empty: none
    compared: dict[str, int]  # table -> rows that are identical


class _RecordedStore(MemoryStore):
    """Takes what the replay does, and answers its model calls from the record."""

    def __init__(self, record: SqliteStore, run_id: str) -> None:
        super().__init__()
        self._record = record
        self._run_id = run_id

    async def find_call(
        self, run_id: str, scope: str, index: int, request_hash: str
    ) -> CallRecord | None:
        """Find a call in the record and count it as made again."""
        found = await self._record.find_call(run_id, scope, index, request_hash)
        if found is not None:
            await self.commit_call(found)
        return found

    async def load_run(self, run_id: str) -> RunRecord | None:
        """Find another run, whose result this one took, in the record."""
        if run_id == self._run_id:
            return await super().load_run(run_id)
        return await self._record.load_run(run_id)

    async def load_checkpoint(self, run_id: str) -> Checkpoint | None:
        """Find where another run stands in the record."""
        if run_id == self._run_id:
            return await super().load_checkpoint(run_id)
        return await self._record.load_checkpoint(run_id)

    async def load_parameters(self, version: str) -> Parameters | None:
        """Find parameters, those of other runs too."""
        made = await super().load_parameters(version)
        return made if made is not None else await self._record.load_parameters(version)

    async def offered(self, run_id: str, scope: str) -> tuple[Tool, ...]:
        """Find the tools in the record: episodes in the background may not be made again yet."""
        return await self._record.offered(run_id, scope)


async def replay(path: str, run_id: str, *, screens: tuple[EventSink, ...] = ()) -> Replay:
    """Replay a run.

    Raises:
        ConfigError: There is no such run, or it has not ended.
        StoreError: The database cannot be read.
        SandboxUnavailable: Functions cannot be executed here.
    """
    async with open_store(path) as record:
        stored = await record.load_run(run_id)
        if stored is None:
            raise ConfigError(f"there is no run {run_id!r} in {path}")
        if stored.status != "done":
            raise ConfigError(f"run {run_id} is {stored.status}; only what has ended is replayed")
        twin = _RecordedStore(record, run_id)
        opening = Opening(run_id=run_id, offline=True, screens=screens, store=twin)
        purpose: Purpose = stored.kind if stored.kind != "replay" else "train"
        config = load_record(stored.config, purpose=purpose)
        if stored.kind == "train":
            async with open_training(config, opening) as training:
                outcome: Any = await training.wait()
        elif stored.kind == "compare":
            async with open_comparison(config, opening) as comparison:
                outcome = await comparison.wait()
        else:
            version = await _evaluated(record, run_id)
            async with open_evaluation(config, version, opening) as evaluation:
                outcome = await evaluation.wait()
        if outcome.error is not None:
            if not isinstance(outcome.error, ReplayDiffers):
                raise outcome.error
            return Replay(run_id=run_id, difference=str(outcome.error), compared={})
        return _compare(run_id, await record.dump_rows(run_id), await twin.dump_rows(run_id))


async def _evaluated(record: SqliteStore, run_id: str) -> Any:
    rows = await record.dump_rows(run_id)
    return await record.load_parameters(str(rows["evaluations"][0]["version"]))


def _compare(run_id: str, stored: dict[str, Any], made: dict[str, Any]) -> Replay:
    compared: dict[str, int] = {}
    for table in COMPARED:
        ours, theirs = made.get(table, []), stored.get(table, [])
        for number, (one, other) in enumerate(zip(theirs, ours, strict=False)):
            if one != other:
                keys = [key for key in one if one[key] != other.get(key)]
                difference = f"{table}, row {number}: " + "; ".join(
                    f"{k} was {one[k]!r:.200}, is {other.get(k)!r:.200}" for k in keys
                )
                return Replay(run_id=run_id, difference=difference, compared=compared)
        if len(ours) != len(theirs):
            difference = f"{table}: the record has {len(theirs)} rows, the replay {len(ours)}"
            return Replay(run_id=run_id, difference=difference, compared=compared)
        compared[table] = len(ours)
    return Replay(run_id=run_id, difference="", compared=compared)
