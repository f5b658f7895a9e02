"""Every tuner keeps these promises. A new one adds one entry to `TUNERS`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from funcforge.adapters.local.process import missing_packages
from funcforge.adapters.local.tuner import LocalTuner, LocalTuning
from funcforge.adapters.models.settings import ModelSettings
from funcforge.adapters.tuners.provider import ProviderTuner
from funcforge.engine.errors import TuningFailed
from funcforge.engine.messages import Message
from funcforge.engine.ports import Tuner
from funcforge.engine.tuning_jobs import ENDED, TuningJob, TuningPlan
from funcforge.engine.tuning_sets import TuningExample, TuningSet

from tests.loopback.brains import echo
from tests.loopback.provider import LoopbackProvider
from tests.loopback.tuning import TuningDesk

EXAMPLE = TuningExample(
    task_id="a",
    tools=(),
    prompt=(Message(role="user", content="2 + 2?"),),
    completion=(Message(role="assistant", content="4"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A place where jobs live: each tuner opened there finds those of the others."""

    base: str
    open: Callable[[], AbstractAsyncContextManager[Tuner]]

    def plan(self, data: TuningSet | None = None) -> TuningPlan:
        """A job of one example."""
        data = TuningSet(examples=(EXAMPLE,)) if data is None else data
        return TuningPlan(base=self.base, data=data, epochs=1, seed=1, name="ff-contract")


@asynccontextmanager
async def _provider(request: pytest.FixtureRequest, folder: Path) -> AsyncGenerator[Shop]:
    base = "openai/gpt-4o-mini-2024-07-18"
    async with LoopbackProvider(brain=echo, tuning=TuningDesk()) as provider:
        settings = ModelSettings(base_url=provider.openai_base_url)
        yield Shop(base=base, open=lambda: ProviderTuner(base, settings))


@asynccontextmanager
async def _local(request: pytest.FixtureRequest, folder: Path) -> AsyncGenerator[Shop]:
    base = request.getfixturevalue("tiny_base")
    tuning = LocalTuning(folder=folder, method="full", threads=1, max_length=256)
    yield Shop(base=f"local/{base}", open=lambda: LocalTuner(tuning))


TUNERS = [
    pytest.param(_provider, id="a provider's service"),
    pytest.param(
        _local,
        id="this machine",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(
                bool(missing_packages()), reason=f"not installed: {', '.join(missing_packages())}"
            ),
        ],
    ),
]


@pytest.fixture(params=TUNERS)
async def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Shop]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    async with request.param(request, tmp_path) as made:
        yield made


async def ended(tuner: Tuner, job_id: str) -> TuningJob:
    while (job := await tuner.poll(job_id)).status not in ENDED:  # noqa: ASYNC110 - as the engine
        await anyio.sleep(0.05)
    return job


async def test_a_job_outlives_its_tuner_and_names_a_model_of_the_same_kind(shop: Shop) -> None:
    async with shop.open() as first:
        job_id = await first.start(shop.plan())
        assert await first.start(shop.plan()) == job_id  # of the same name: taken over

    async with shop.open() as second:
        job = await ended(second, job_id)
        await second.cancel(job_id)  # it has ended, and stays as it is
        again = await second.poll(job_id)

    assert (job.id, job.status, job.message) == (job_id, "succeeded", "")
    assert job.model is not None
    assert job.model != shop.base
    assert job.model.partition("/")[0] == shop.base.partition("/")[0]
    assert job.trained_tokens
    assert again == job


async def test_a_cancelled_job_has_ended(shop: Shop) -> None:
    async with shop.open() as tuner:
        job_id = await tuner.start(shop.plan())
        await tuner.cancel(job_id)
        job = await tuner.poll(job_id)

    assert (job.id, job.status, job.model) == (job_id, "cancelled", None)


async def test_a_job_that_nobody_knows_is_named_and_cancelling_it_is_no_error(shop: Shop) -> None:
    async with shop.open() as tuner:
        await tuner.cancel("0" * 20)
        with pytest.raises(TuningFailed) as error:
            await tuner.poll("0" * 20)

    assert (error.value.kind, error.value.job_id) == ("gone", "0" * 20)


async def test_nothing_to_learn_and_a_base_of_another_kind_are_refused(shop: Shop) -> None:
    async with shop.open() as tuner:
        with pytest.raises(TuningFailed) as empty:
            await tuner.start(shop.plan(TuningSet()))
        with pytest.raises(TuningFailed) as other:
            tuner.describe("elsewhere/model")
        facts = tuner.describe(shop.base)

    assert empty.value.kind == "no_data"
    assert other.value.kind == "unsupported"
    assert facts.result_priced
