"""Fine-tunes open models on this machine with TRL and PEFT, in a worker process."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import anyio
import anyio.to_thread
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup

from ...engine.canonical import content_hash
from ...engine.errors import TuningFailed
from ...engine.tuning_jobs import TuningFacts, TuningJob, TuningPlan
from ..exporters.tuning_rows import trl_example, trl_pair
from ..secrets import redactor
from .model import LOCAL, model_folder
from .process import INSTALL, Worker, last_words, missing_packages

_NOT_CONTENT = frozenset({"README.md"})  # PEFT writes its versions there


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTuning:
    """How a model is trained here."""

    folder: Path  # where models and jobs are kept
    method: Literal["lora", "full"] = "lora"
    lora_rank: int = 16
    learning_rate: float = 2e-4
    batch_size: int = 8
    max_length: int = 4_096  # tokens; longer conversations are cut at their end
    beta: float = 0.1  # DPO: how close to the base it stays
    threads: int = 0  # 0: torch's own choice


class LocalTuner(AsyncContextManagerMixin):
    """Trains one job per worker. A job is a folder: whoever finds it unfinished starts it again.

    The result is a folder named by the hash of its files: a whole model, or an adapter.
    Leaving the block ends the workers; their jobs stay, and the next poll begins them anew.
    """

    def __init__(self, settings: LocalTuning) -> None:
        self._settings = settings
        self._jobs: dict[str, _Running] = {}
        self._group: TaskGroup | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield self
            finally:
                self._group = None
                group.cancel_scope.cancel()

    def describe(self, base: str) -> TuningFacts:
        """Return that it is free, if it is possible."""
        missing = missing_packages()
        if missing:
            raise TuningFailed(
                f"fine-tuning on this machine needs {', '.join(missing)}: {INSTALL}",
                kind="unsupported",
            )
        if not base.startswith(f"{LOCAL}/"):
            raise TuningFailed(
                f"{base} is not on this machine: models in folders are named local/PATH",
                kind="unsupported",
            )
        folder = model_folder(base)
        if not any((folder / name).exists() for name in ("config.json", "adapter_config.json")):
            raise TuningFailed(f"{folder} holds no model to fine-tune", kind="unsupported")
        return TuningFacts(token_pusd=0, result_priced=True)

    async def start(self, plan: TuningPlan) -> str:
        """Write the job down, and begin it."""
        self.describe(plan.base)
        if not len(plan.data):
            raise TuningFailed("there is nothing to fine-tune on", kind="no_data")
        settings = {**asdict(self._settings), "folder": ""}
        job_id = content_hash([dict(plan.to_json()), settings])
        place = self._place(job_id)
        if not (place / "spec.json").exists():
            await anyio.to_thread.run_sync(self._write, place, plan)
        await self._begin(job_id)
        return job_id

    async def poll(self, job_id: str) -> TuningJob:
        """Return where a job stands; one that nobody works at is begun anew."""
        place = self._place(job_id)
        if (place / "result.json").exists():
            return TuningJob(**json.loads((place / "result.json").read_text("utf-8")))
        if not (place / "spec.json").exists():
            raise TuningFailed(f"{place} is gone, and the job with it", kind="gone", job_id=job_id)
        if job_id not in self._jobs:
            await self._begin(job_id)
        return TuningJob(id=job_id, status="running", done_share=self._jobs[job_id].done_share)

    async def cancel(self, job_id: str) -> None:
        running = self._jobs.get(job_id)
        if running is not None:
            running.scope.cancel()
            await running.ended.wait()
        place = self._place(job_id)
        if place.exists() and not (place / "result.json").exists():
            _conclude(place, TuningJob(id=job_id, status="cancelled", message="cancelled"))

    def _place(self, job_id: str) -> Path:
        return self._settings.folder / "jobs" / job_id

    def _write(self, place: Path, plan: TuningPlan) -> None:
        """Write data and spec, the spec last: a job without one was never accepted."""
        place.mkdir(parents=True, exist_ok=True)
        redact = redactor()
        rows = [trl_example(example) for example in plan.data.examples]
        pairs = [trl_pair(pair) for pair in plan.data.pairs]
        with (place / "data.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(redact(json.dumps(row)) + "\n" for row in pairs or rows)
        settings = self._settings
        spec = {
            "task": "tune",
            "base": str(model_folder(plan.base)),
            "data": str(place / "data.jsonl"),
            "out": str(place / "model"),
            "method": "dpo" if pairs else "sft",
            "lora_rank": settings.lora_rank if settings.method == "lora" else None,
            "epochs": plan.epochs,
            "learning_rate": settings.learning_rate,
            "batch_size": settings.batch_size,
            "max_length": settings.max_length,
            "beta": settings.beta,
            "seed": plan.seed,
            "threads": settings.threads,
        }
        fresh = place / "spec.json.new"
        fresh.write_text(json.dumps(spec, indent=2), "utf-8")
        fresh.replace(place / "spec.json")

    async def _begin(self, job_id: str) -> None:
        if self._group is None:
            raise RuntimeError("a local tuner is used inside `async with`")
        if job_id in self._jobs or (self._place(job_id) / "result.json").exists():
            return
        self._jobs[job_id] = running = _Running()
        self._group.start_soon(self._work, job_id, running)

    async def _work(self, job_id: str, running: _Running) -> None:
        place = self._place(job_id)
        spec = json.loads((place / "spec.json").read_text("utf-8"))
        shutil.rmtree(place / "model", ignore_errors=True)
        try:
            with running.scope:
                worker = await Worker.start(spec, place / "worker.log")
                try:
                    last: dict[str, Any] = {}
                    async for told in worker.messages():
                        last = told
                        if told["event"] == "progress":
                            running.done_share = told["step"] / max(told["steps"], 1)
                finally:
                    await worker.aclose()
                job = await anyio.to_thread.run_sync(self._finish, job_id, last)
                _conclude(place, job)
        finally:
            del self._jobs[job_id]
            running.ended.set()

    def _finish(self, job_id: str, last: dict[str, Any]) -> TuningJob:
        place = self._place(job_id)
        if last.get("event") != "done":
            message = last.get("message") or f"its process died: {last_words(place / 'worker.log')}"
            return TuningJob(id=job_id, status="failed", message=message)
        kept = self._settings.folder / folder_hash(place / "model")
        if kept.exists():  # the same weights were learned before
            shutil.rmtree(place / "model")
        else:
            (place / "model").replace(kept)
        return TuningJob(
            id=job_id,
            status="succeeded",
            model=f"{LOCAL}/{kept}",
            trained_tokens=last["tokens"],
            done_share=1.0,
        )


class _Running:
    """A job that a worker is at."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.done_share = 0.0


def folder_hash(folder: Path) -> str:
    """Return 20 hexadecimal digits of the hash of a folder's files: the address of a model."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _NOT_CONTENT:
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:20]


def _conclude(place: Path, job: TuningJob) -> None:
    fresh = place / "result.json.new"
    fresh.write_text(json.dumps(asdict(job), indent=2), "utf-8")
    fresh.replace(place / "result.json")
