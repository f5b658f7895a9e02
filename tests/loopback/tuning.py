"""The fine-tuning part of the loopback provider: files and jobs as OpenAI's API has them.

What becomes of a job hangs on its base model: `fails`, `rejects`, `vanishes` and `hangs` in its
name do what they say, `chat-only` cannot be fine-tuned; every other one succeeds after some polls.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

UNTUNABLE = "chat-only"
TOKENS_PER_ROW = 100  # that a job says it trained on, per epoch


@dataclass(slots=True, kw_only=True)
class Job:
    """One job as the provider keeps it."""

    id: str
    base: str
    suffix: str
    file: str
    epochs: int
    polls: int = 0  # since it was created
    cancelled: bool = False


@dataclass(slots=True)
class TuningDesk:
    """Files and jobs. Deterministic: a job gets on by being polled.

    Args:
        running_polls: Polls that find a job running before it has succeeded.
        unready: How many of the first polls are answered by HTTP 503.
    """

    running_polls: int = 3
    unready: int = 0
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # id -> rows
    jobs: dict[str, Job] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def summary(self) -> dict[str, Any]:
        """What was asked so far, for tests in another process."""
        return {
            "files": {name: len(rows) for name, rows in self.files.items()},
            "jobs": [self._told(job) | {"polls": job.polls} for job in self.jobs.values()],
        }

    async def handle(self, request: web.BaseRequest) -> web.Response | None:
        """Answer a request of this part of the API; None: it is of another."""
        path = request.path.removeprefix("/v1")
        if path == "/files" and request.method == "POST":
            return await self._upload(request)
        if path == "/fine_tuning/jobs":
            if request.method == "POST":
                return self._create(json.loads(await request.read()))
            newest = list(reversed(self.jobs.values()))
            return web.json_response(
                {"object": "list", "data": [self._told(job) for job in newest], "has_more": False}
            )
        if path.startswith("/fine_tuning/jobs/"):
            name, _, action = path.removeprefix("/fine_tuning/jobs/").partition("/")
            job = self.jobs.get(name)
            if job is None or ("vanishes" in job.base and job.polls > 0):
                return _error(404, f"fine-tuning job {name} does not exist")
            return self._cancel(job) if action == "cancel" else self._poll(job)
        return None

    async def _upload(self, request: web.BaseRequest) -> web.Response:
        form = await request.post()
        file: Any = form["file"]
        body = file.file.read().decode()
        name = f"file-{next(self._numbers)}"
        self.files[name] = [json.loads(line) for line in body.splitlines()]
        return web.json_response(
            {
                "id": name, "object": "file", "bytes": len(body), "created_at": int(time.time()),
                "filename": file.filename, "purpose": form["purpose"], "status": "processed",
            }
        )  # fmt: skip

    def _create(self, asked: dict[str, Any]) -> web.Response:
        base = str(asked["model"])
        if UNTUNABLE in base:
            return _error(400, f"The model {base} is not available for fine-tuning")
        if asked["training_file"] not in self.files:
            return _error(400, f"no such file: {asked['training_file']}")
        if "rejects" in base:
            return _error(400, "the training file has too few examples")
        job = Job(
            id=f"ftjob-{next(self._numbers)}",
            base=base,
            suffix=str(asked.get("suffix") or ""),
            file=asked["training_file"],
            epochs=int((asked.get("hyperparameters") or {}).get("n_epochs") or 1),
        )
        self.jobs[job.id] = job
        return web.json_response(self._told(job))

    def _poll(self, job: Job) -> web.Response:
        if self.unready > 0:
            self.unready -= 1
            return _error(503, "the service is overloaded")
        job.polls += 1
        return web.json_response(self._told(job))

    def _cancel(self, job: Job) -> web.Response:
        if self.status(job) in ("succeeded", "failed"):
            return _error(400, f"the job has ended: {self.status(job)}")
        job.cancelled = True
        return web.json_response(self._told(job))

    def status(self, job: Job) -> str:
        """Where a job stands."""
        if job.cancelled:
            return "cancelled"
        if job.polls == 0:
            return "validating_files"
        if job.polls <= self.running_polls or "hangs" in job.base:
            return "running"
        return "failed" if "fails" in job.base else "succeeded"

    def _told(self, job: Job) -> dict[str, Any]:
        status = self.status(job)
        done = status == "succeeded"
        error = {"code": "bad", "message": "loss is not finite", "param": None}
        return {
            "id": job.id,
            "object": "fine_tuning.job",
            "model": job.base,
            "status": status,
            "fine_tuned_model": f"ft:{job.base}:loop:{job.suffix}:{job.id}" if done else None,
            "trained_tokens": len(self.files[job.file]) * TOKENS_PER_ROW * job.epochs
            if done
            else None,
            "user_provided_suffix": job.suffix,
            "training_file": job.file,
            "validation_file": None,
            "hyperparameters": {"n_epochs": job.epochs},
            "created_at": 1,
            "finished_at": 2 if done else None,
            "organization_id": "org",
            "result_files": [],
            "seed": 0,
            "error": error if status == "failed" else None,
        }


def _error(status: int, message: str) -> web.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
    return web.json_response(body, status=status)
