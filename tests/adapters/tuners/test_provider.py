"""A provider's fine-tuning service over LiteLLM, against a real HTTP server on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from funcforge.adapters.models.settings import ModelSettings
from funcforge.adapters.tuners.provider import ProviderTuner, ProviderTuning
from funcforge.engine.errors import ModelConfigError, TransientModelError, TuningFailed
from funcforge.engine.messages import Message
from funcforge.engine.tuning_jobs import TuningPlan
from funcforge.engine.tuning_sets import TuningExample, TuningPair, TuningSet

from tests.loopback.brains import echo
from tests.loopback.provider import LoopbackProvider
from tests.loopback.tuning import TuningDesk

KEY = "sk-loopback-key-that-nobody-may-store"
QUESTION = (Message(role="user", content="2 + 2?"),)
ANSWER = Message(role="assistant", content="4")
DATA = TuningSet(
    examples=(TuningExample(task_id="a", tools=(), prompt=QUESTION, completion=(ANSWER,)),)
)
PAIR = TuningPair(task_id="a", tools=(), prompt=QUESTION, chosen=ANSWER, rejected=ANSWER)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@asynccontextmanager
async def service(
    base: str = "gpt-4o-mini-2024-07-18", desk: TuningDesk | None = None
) -> AsyncGenerator[tuple[ProviderTuner, TuningDesk]]:
    desk = desk or TuningDesk()
    async with LoopbackProvider(brain=echo, tuning=desk) as provider:
        settings = ModelSettings(base_url=provider.openai_base_url)
        tuning = ProviderTuning(usd_per_million_tokens=3.0)
        async with ProviderTuner(f"openai/{base}", settings, tuning) as tuner:
            yield tuner, desk


def plan(base: str = "gpt-4o-mini-2024-07-18", data: TuningSet = DATA) -> TuningPlan:
    return TuningPlan(base=f"openai/{base}", data=data, epochs=2, seed=7, name="ff-one")


async def test_a_job_is_uploaded_created_polled_and_names_its_model() -> None:
    async with service() as (tuner, desk):
        job_id = await tuner.start(plan())
        seen = [(await tuner.poll(job_id)) for _ in range(4)]

    assert [job.status for job in seen] == ["running", "running", "running", "succeeded"]
    assert seen[-1].model == f"openai/ft:gpt-4o-mini-2024-07-18:loop:ff-one:{job_id}"
    assert seen[-1].trained_tokens == 200  # one row, two epochs
    (rows,) = desk.files.values()
    assert rows == [
        {
            "messages": [
                {"role": "user", "content": "2 + 2?"},
                {"role": "assistant", "content": "4", "weight": 1},
            ]
        }
    ]


async def test_a_job_of_the_same_name_is_taken_over_not_paid_for_twice() -> None:
    async with service() as (tuner, desk):
        first = await tuner.start(plan())
        again = await tuner.start(plan())

    assert again == first
    assert len(desk.jobs) == 1


async def test_a_cancelled_job_says_so_and_is_not_taken_over() -> None:
    async with service() as (tuner, _):
        job_id = await tuner.start(plan())
        await tuner.cancel(job_id)
        assert (await tuner.poll(job_id)).status == "cancelled"
        assert await tuner.start(plan()) != job_id
        await tuner.cancel("ftjob-nowhere")  # ends nothing, raises nothing


async def test_a_failed_job_gives_its_reason() -> None:
    async with service("gpt-fails", TuningDesk(running_polls=0)) as (tuner, _):
        job = await tuner.poll(await tuner.start(plan("gpt-fails")))

    assert (job.status, job.message, job.model) == ("failed", "loss is not finite", None)


@pytest.mark.parametrize(
    ("base", "kind", "message"),
    [
        ("gpt-rejects", "rejected", "the training file has too few examples"),
        (
            "chat-only",
            "unsupported",
            "cannot be fine-tuned there: .*chat-only is not available",
        ),
    ],
)
async def test_what_is_not_accepted_is_a_clear_error(base: str, kind: str, message: str) -> None:
    async with service(base) as (tuner, _):
        with pytest.raises(TuningFailed, match=message) as error:
            await tuner.start(plan(base))

    assert error.value.kind == kind
    assert KEY not in str(error.value)


async def test_a_job_that_disappeared_is_named() -> None:
    async with service("gpt-vanishes") as (tuner, _):
        job_id = await tuner.start(plan("gpt-vanishes"))
        await tuner.poll(job_id)
        with pytest.raises(TuningFailed, match=f"knows no fine-tuning job {job_id} any more") as e:
            await tuner.poll(job_id)

    assert (e.value.kind, e.value.job_id) == ("gone", job_id)


async def test_an_overloaded_service_is_worth_another_try() -> None:
    async with service(desk=TuningDesk(unready=1)) as (tuner, _):
        job_id = await tuner.start(plan())
        with pytest.raises(TransientModelError, match="503"):
            await tuner.poll(job_id)
        assert (await tuner.poll(job_id)).status == "running"


async def test_other_providers_and_other_data_are_refused_before_anything_is_sent() -> None:
    async with service() as (tuner, desk):
        with pytest.raises(TuningFailed, match="works for openai and azure, and for local/PATH"):
            tuner.describe("anthropic/claude-3-5-haiku-latest")
        with pytest.raises(TuningFailed, match="LiteLLM submits no preferences"):
            await tuner.start(plan(data=TuningSet(pairs=(PAIR,))))
        with pytest.raises(TuningFailed, match="nothing to fine-tune on"):
            await tuner.start(plan(data=TuningSet()))

    assert not desk.files


async def test_a_provider_that_fine_tunes_nothing_says_what_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with ProviderTuner("anthropic/claude-3-5-haiku-latest", ModelSettings()) as tuner:
        with pytest.raises(TuningFailed, match="fine-tuning over LiteLLM works for"):
            tuner.describe("anthropic/claude-3-5-haiku-latest")


async def test_prices_are_told_where_they_are_known() -> None:
    async with service() as (tuner, _):
        facts = tuner.describe("openai/gpt-4o-mini-2024-07-18")

    assert facts.token_pusd == 3_000_000
    assert facts.result_priced


async def test_a_refused_key_asks_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LoopbackProvider(brain=echo) as provider:
        settings = ModelSettings(base_url=provider.openai_base_url)
        async with ProviderTuner("openai/gpt-4o-mini", settings) as tuner:
            with pytest.raises((TuningFailed, ModelConfigError), match="no such"):
                await tuner.start(plan("gpt-4o-mini"))
