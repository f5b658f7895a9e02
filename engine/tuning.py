"""Fine-tuning within a run: budgeted, durable before it is waited for, waited for with patience.

Two entries of the journal hold a job: its id as soon as it is accepted, and how it ended. After a
crash the first one is found and polling goes on; nothing is submitted or paid for twice. A job
that ended badly stops the run; a resumed run finds that it did and submits another.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from .budget import Reservation
from .calls import ModelCalls
from .canonical import canonical_json, content_hash
from .clock import SystemClock
from .errors import ConfigError, TransientModelError, TuningFailed, TuningKind
from .events import Event, TuningProgressed
from .messages import Message, Reply, Request
from .ports import Clock, Tuner
from .tuning_jobs import ENDED, TuningJob, TuningPlan
from .usage import Usage

_T = TypeVar("_T")
_TIMED_OUT = "it did not end within"
_SLICE_S = 0.5  # the longest sleep before a wish to stop is seen
_GROWTH = 1.5  # of the wait from poll to poll


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPatience:
    """How long a job is waited for."""

    wait_s: float = 86_400.0  # for one job; then it is cancelled
    first_poll_s: float = 1.0
    poll_s: float = 30.0  # the longest wait from poll to poll
    failures: int = 10  # polls in a row that may fail


class Tuning:
    """Runs fine-tuning jobs for one run.

    Args:
        check: Raises when the run is to stop; asked while waiting.
    """

    def __init__(
        self,
        tuner: Tuner,
        calls: ModelCalls,
        *,
        publish: Callable[[Event], Awaitable[None]],
        check: Callable[[], None] = lambda: None,
        patience: TuningPatience | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._tuner = tuner
        self._calls = calls
        self._publish = publish
        self._check = check
        self._patience = patience or TuningPatience()
        self._clock = clock or SystemClock()

    async def tune(self, scope: str, step: int, plan: TuningPlan) -> str:
        """Return the model, `provider/model`, that a plan leads to.

        Args:
            scope: Where the run's journal keeps the job.
            step: Of the training, for people.

        Raises:
            TuningFailed: No model came of it; says why.
            ConfigError: A cap in USD, and something about the job has no price.
            BudgetExhausted: The worst case does not fit into what is left.
            ModelError: The tuner cannot be reached.
        """
        attempt = 0
        while True:
            asked = self._request(plan, attempt, "start")
            started = await self._calls.recorded(scope, 2 * attempt, asked)
            ended = None
            if started is not None:
                result = self._request(plan, attempt, "end")
                ended = await self._calls.recorded(scope, 2 * attempt + 1, result)
            if ended is None:
                place = (scope, attempt)
                job = await self._run(place, step, plan, _job_id(started) if started else None)
                return _model_of(job)
            job = _read_job(ended)
            if job.status == "succeeded":
                return _model_of(job)
            attempt += 1  # that one failed in an earlier process: the cause may be gone

    async def _run(
        self, place: tuple[str, int], step: int, plan: TuningPlan, job_id: str | None
    ) -> TuningJob:
        facts = self._tuner.describe(plan.base)
        if self._calls.budget.caps.cost_usd is not None:
            if facts.token_pusd is None:
                raise ConfigError(
                    f"fine-tuning {plan.base} has no known price, so the cap cannot be kept: set "
                    "finetune.usd_per_million_tokens",
                    key="budget.cost_usd",
                )
            if not facts.result_priced:
                raise ConfigError(
                    f"what comes of fine-tuning {plan.base} has no known price, so the cap cannot "
                    f'be kept: set the prices of models."{plan.base}"',
                    key="budget.cost_usd",
                )
        async with self._calls.budget.reserve(plan.worst_case(facts.token_pusd)) as reservation:
            if job_id is None:
                job_id = await self._start(place, plan, reservation)
            job = await self._wait(step, job_id)
            used = _used(job, reservation.worst, facts.token_pusd)
            reservation.settle(used + Usage(calls=1))
        scope, attempt = place
        asked = self._request(plan, attempt, "end")
        reply = _reply(_job_json(job), used)
        await self._calls.record(scope, 2 * attempt + 1, asked, reply)
        if job.status != "succeeded":
            raise TuningFailed(
                f"fine-tuning job {job.id} of {plan.base} {job.status}: "
                f"{job.message or 'no reason was given'}. Resuming the run submits another",
                kind=_failure(job),
                job_id=job.id,
            )
        return job

    async def _start(
        self, place: tuple[str, int], plan: TuningPlan, reservation: Reservation
    ) -> str:
        # OpenAI's suffix takes 18 characters with every model
        name = f"ff-{content_hash([self._calls.run_id, *place])[:12]}"
        plan = replace(plan, name=name)
        try:
            job_id = await self._patient(lambda: self._tuner.start(plan))
        except TuningFailed:
            reservation.settle(Usage(calls=1))
            self._calls.lose(Usage(calls=1))
            raise
        scope, attempt = place
        reply = _reply({"job": job_id}, Usage(calls=1))
        # shielded: a job that was accepted must be found again, whatever happens next
        with anyio.CancelScope(shield=True):
            asked = self._request(plan, attempt, "start")
            await self._calls.record(scope, 2 * attempt, asked, reply)
        return job_id

    async def _wait(self, step: int, job_id: str) -> TuningJob:
        patience = self._patience
        deadline_s = self._clock.monotonic_s() + patience.wait_s
        pause_s, told = patience.first_poll_s, None
        while True:
            self._check()
            job = await self._poll(job_id)
            if (job.status, job.done_share) != told:
                told = (job.status, job.done_share)
                await self._publish(
                    TuningProgressed(
                        run_id="", step=step, job_id=job.id, status=job.status,
                        done_share=job.done_share, message=job.message,
                    )
                )  # fmt: skip
            if job.status in ENDED:
                return job
            if self._clock.monotonic_s() >= deadline_s:
                await self._tuner.cancel(job_id)
                message = f"{_TIMED_OUT} {patience.wait_s:g} s, so it was cancelled"
                return replace(job, status="cancelled", message=message)
            await self._sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, patience.poll_s)

    async def _poll(self, job_id: str) -> TuningJob:
        try:
            return await self._patient(lambda: self._tuner.poll(job_id))
        except TuningFailed as error:
            return TuningJob(id=job_id, status="failed", message=str(error))

    async def _patient(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask again where that may help."""
        for failures in range(1, self._patience.failures + 1):
            try:
                return await ask()
            except TransientModelError as error:
                if failures == self._patience.failures:
                    raise
                wait_s = self._patience.first_poll_s * _GROWTH**failures
                wait_s = max(min(wait_s, self._patience.poll_s), error.retry_after_s or 0.0)
            await self._sleep(wait_s)
        raise AssertionError("unreachable")

    async def _sleep(self, seconds: float) -> None:
        while seconds > 0:
            self._check()
            await anyio.sleep(min(seconds, _SLICE_S))
            seconds -= _SLICE_S

    def _request(self, plan: TuningPlan, attempt: int, what: str) -> Request:
        told = {**plan.to_json(), "attempt": attempt, "what": what}
        message = Message(role="user", content=canonical_json(told))
        return Request(model=plan.base, messages=(message,), max_tokens=1)


def _job_id(started: Reply) -> str:
    return str(json.loads(started.message.content)["job"])


def _job_json(job: TuningJob) -> dict[str, object]:
    return {"job": job.id, "status": job.status, "model": job.model, "message": job.message}


def _read_job(ended: Reply) -> TuningJob:
    told = json.loads(ended.message.content)
    return TuningJob(
        id=told["job"], status=told["status"], model=told["model"], message=told["message"]
    )


def _failure(job: TuningJob) -> TuningKind:
    if job.message.startswith(_TIMED_OUT):
        return "timeout"
    return "cancelled" if job.status == "cancelled" else "failed"


def _model_of(job: TuningJob) -> str:
    if not job.model:
        raise TuningFailed(
            f"fine-tuning job {job.id} succeeded but names no model", kind="failed", job_id=job.id
        )
    return job.model


def _reply(told: dict[str, object], used: Usage) -> Reply:
    message = Message(role="assistant", content=canonical_json(told))
    return Reply(message=message, finish="stop", usage=used)


def _used(job: TuningJob, worst: Usage, token_pusd: int | None) -> Usage:
    """Return what a job used: the worst case, unless it says better."""
    if job.trained_tokens is None:
        return replace(worst, calls=0)
    tokens = job.trained_tokens
    return Usage(prompt_tokens=tokens, cost_pusd=tokens * (token_pusd or 0))
