"""Fine-tuning as a provider's service, through LiteLLM: upload, create, poll, cancel."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import anyio
import anyio.to_thread
from anyio import AsyncContextManagerMixin

from ...engine.errors import ModelConfigError, ModelError, RequestRefused, TuningFailed
from ...engine.tuning_jobs import TuningFacts, TuningJob, TuningPlan, TuningStatus
from ..exporters.tuning_rows import openai_example
from ..models.acompletion import internal_flag
from ..models.failures import Source, from_litellm, transient
from ..models.loading import load_litellm
from ..models.resolution import ResolvedModel, resolve
from ..models.settings import ModelSettings
from ..secrets import redactor

PROVIDERS = ("openai", "azure")  # whose jobs LiteLLM can create, poll and cancel
_LISTED = 50  # newest jobs that are looked through for one of ours
_STATUSES: Mapping[str, TuningStatus] = {
    "validating_files": "waiting",
    "queued": "waiting",
    "paused": "waiting",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
_GOES_ON = frozenset({"waiting", "running", "succeeded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTuning:
    """What is asked of the service. None: its own default."""

    learning_rate_multiplier: float | None = None
    batch_size: int | None = None
    usd_per_million_tokens: float | None = None  # trained on once; None: unpriced
    request_timeout_s: float = 120.0


class ProviderTuner(AsyncContextManagerMixin):
    """Jobs at the provider of one base model, and of what came of it.

    Args:
        model: The base, `provider/model`: its settings, key and base URL are used for all jobs.
    """

    def __init__(
        self, model: str, settings: ModelSettings, tuning: ProviderTuning | None = None
    ) -> None:
        self._model = model
        self._settings = settings
        self._tuning = tuning or ProviderTuning()
        self._resolved: ResolvedModel | None = None
        self._client: Any = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            yield self
        finally:
            client, self._client = self._client, None
            if client is not None:
                with anyio.move_on_after(2, shield=True), suppress(Exception):
                    await client.close()

    def describe(self, base: str) -> TuningFacts:
        """Return what a job costs, and whether what comes of it has a price."""
        resolved = self._source()
        provider, _, name = base.partition("/")
        if resolved.provider not in PROVIDERS or provider != self._model.partition("/")[0]:
            raise TuningFailed(
                f"{base}: fine-tuning over LiteLLM works for {' and '.join(PROVIDERS)}, and for "
                "local/PATH on this machine; choose such a model, or another optimizer.kind",
                kind="unsupported",
            )
        usd = self._tuning.usd_per_million_tokens
        result = f"{provider}/{name if name.startswith('ft:') else f'ft:{name}:org:suffix:id'}"
        facts = resolve(load_litellm(), result, self._settings).facts
        return TuningFacts(
            token_pusd=None if usd is None else round(usd * 1_000_000),
            result_priced=facts.prompt_pusd is not None,
        )

    async def start(self, plan: TuningPlan) -> str:
        """Upload the examples and create the job, unless one of this name goes on already."""
        self.describe(plan.base)
        if plan.data.pairs:
            raise TuningFailed(
                "LiteLLM submits no preferences: fine-tune on examples, or write the pairs with "
                "`funcforge export RUN --format preferences`",
                kind="unsupported",
            )
        if not plan.data.examples:
            raise TuningFailed("there is nothing to fine-tune on", kind="no_data")
        known = await self._known(plan.name)
        if known is not None:
            return known
        body = await anyio.to_thread.run_sync(_jsonl, plan)
        file = (f"{plan.name}.jsonl", body)
        uploaded = await self._ask("acreate_file", file=file, purpose="fine-tune")
        job = await self._ask(
            "acreate_fine_tuning_job",
            model=plan.base.partition("/")[2],
            training_file=uploaded.id,
            hyperparameters=self._hyperparameters(plan),
            suffix=plan.name,
            seed=plan.seed,
        )
        return str(job.id)

    async def poll(self, job_id: str) -> TuningJob:
        try:
            job = await self._ask("aretrieve_fine_tuning_job", fine_tuning_job_id=job_id)
        except TuningFailed as error:
            raise TuningFailed(
                f"the provider knows no fine-tuning job {job_id} any more: {error}",
                kind="gone",
                job_id=job_id,
            ) from error
        return self._read(job)

    async def cancel(self, job_id: str) -> None:
        with suppress(TuningFailed):  # it has ended, or is gone
            await self._ask("acancel_fine_tuning_job", fine_tuning_job_id=job_id)

    async def _known(self, name: str) -> str | None:
        """Return a job of this name that was submitted before a crash could write it down."""
        page = await self._ask("alist_fine_tuning_jobs", limit=_LISTED)
        for job in getattr(page, "data", None) or ():
            named = getattr(job, "user_provided_suffix", None) or ""
            if named == name and _STATUSES.get(job.status) in _GOES_ON:
                return str(job.id)
        return None

    def _hyperparameters(self, plan: TuningPlan) -> dict[str, Any]:
        given = {
            "n_epochs": plan.epochs,
            "batch_size": self._tuning.batch_size,
            "learning_rate_multiplier": self._tuning.learning_rate_multiplier,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _read(self, job: Any) -> TuningJob:
        status = _STATUSES.get(str(job.status))
        if status is None:
            raise transient(
                self._source().source, "invalid_reply", f"job status {job.status!r} is unknown"
            )
        error = getattr(job, "error", None)
        model = getattr(job, "fine_tuned_model", None)
        tokens = getattr(job, "trained_tokens", None)
        return TuningJob(
            id=str(job.id),
            status=status,
            model=f"{self._model.partition('/')[0]}/{model}" if model else None,
            message=" ".join(str(getattr(error, "message", None) or "").split())[:400],
            trained_tokens=tokens if isinstance(tokens, int) and tokens >= 0 else None,
        )

    async def _ask(self, name: str, **arguments: Any) -> Any:
        """Call one of LiteLLM's functions.

        Raises:
            TuningFailed: The provider does not accept it; what it says.
            ModelError: It cannot be asked now, or not with this configuration.
        """
        litellm = await anyio.to_thread.run_sync(load_litellm)
        resolved = self._source()
        if self._client is None and resolved.provider == "openai":
            self._client = _client(resolved)
        function: Callable[..., Awaitable[Any]] = getattr(litellm, name)
        common = {
            "api_key": resolved.key,
            "api_base": resolved.base_url,
            "timeout": self._tuning.request_timeout_s,
            "max_retries": 0,
        }
        given = {**arguments, **common, "custom_llm_provider": resolved.provider}
        if self._client is not None:
            given["client"] = self._client
            if name == "acreate_file":
                # the wrapper would open a client of its own, and never close it
                function = _upload
                given = {**common, "client": self._client, "create_file_data": arguments}
        internal = internal_flag()
        token = internal.set(True) if internal else None
        try:
            with anyio.fail_after(self._tuning.request_timeout_s):
                return await function(**given)
        except Exception as error:
            raise _judged(resolved.source, error, name) from error
        finally:
            if internal and token is not None:
                internal.reset(token)

    def _source(self) -> ResolvedModel:
        if self._resolved is None:
            self._resolved = resolve(load_litellm(), self._model, self._settings)
        return self._resolved


async def _upload(**given: Any) -> Any:
    from litellm.llms.openai.openai import OpenAIFilesAPI

    made: Any = OpenAIFilesAPI().create_file(_is_async=True, organization=None, **given)
    return await made


def _client(resolved: ResolvedModel) -> Any:
    from openai import AsyncOpenAI

    return AsyncOpenAI(api_key=resolved.key, base_url=resolved.base_url, max_retries=0)


def _judged(source: Source, error: Exception, name: str) -> Exception:
    """Translate: what the provider refuses for good is a failed tuning."""
    if type(error).__name__ == "APITimeoutError" or isinstance(error, TimeoutError):
        return transient(source, "timeout", "no reply in time")
    judged: ModelError = from_litellm(source, error)
    if isinstance(judged, RequestRefused):
        return TuningFailed(str(judged), kind="rejected")
    if isinstance(judged, ModelConfigError) and judged.kind == "unknown_model":
        creating = name == "acreate_fine_tuning_job"
        what = "the base model cannot be fine-tuned there: " if creating else ""
        return TuningFailed(f"{what}{judged}", kind="unsupported" if creating else "gone")
    return judged


def _jsonl(plan: TuningPlan) -> bytes:
    redact = redactor()
    rows = (redact(json.dumps(openai_example(example))) for example in plan.data.examples)
    return "".join(f"{row}\n" for row in rows).encode()
