"""What every Model keeps, over each implementation and each wire."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import anyio.lowlevel
import psutil
import pytest
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.settings import ModelSettings
from funcforge.engine.errors import ModelConfigError, ModelError, TransientModelError
from funcforge.engine.messages import Message, Request, Tool

from tests.loopback.faults import Fault, ScriptedFaults
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, call, calls, text

ADD = Tool(
    name="add",
    description="Add two numbers.",
    arguments={
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
)

WIRES = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-haiku-4-5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A model under test, and the provider that it asks."""

    model: LiteLLMModel
    provider: LoopbackProvider
    name: str

    def request(self, content: str = "What is 2 + 2?", **changes: Any) -> Request:
        request = Request(model=self.name, messages=(Message(role="user", content=content),))
        return replace(request, **changes)


@asynccontextmanager
async def bench(
    wire: str, brain: Callable[[Ask], Say], *, latency_s: float = 0.0, **settings: Any
) -> AsyncGenerator[Bench]:
    wire, _, lane = wire.partition(" ")
    async with LoopbackProvider(brain=brain, latency_s=latency_s, hang_s=5) as provider:
        name = WIRES[wire]
        base = provider.openai_base_url if wire == "openai" else provider.anthropic_base_url
        own = {name: ModelSettings(base_url=base, **settings)}
        doubts: list[str] = []
        async with LiteLLMModel(own, fast=lane == "fast", notice=doubts.append) as model:
            await model.load()
            yield Bench(model=model, provider=provider, name=name)
        assert doubts == []


@pytest.fixture(params=[f"{wire} {lane}" for wire in WIRES for lane in ("fast", "litellm")])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "key-of-the-test")
    return str(request.param)


async def test_a_question_gets_its_reply_and_its_bill(wire: str) -> None:
    said = Say(content="4", prompt_tokens=1000, completion_tokens=50, cached_tokens=600)
    async with bench(wire, lambda ask: said) as at:
        reply = await at.model.complete(at.request())

        facts = at.model.describe(at.name)
        [entry] = at.provider.ledger
    assert (reply.message.content, reply.finish) == ("4", "stop")
    assert reply.usage.calls == 1
    assert reply.usage.prompt_tokens == entry.prompt_tokens == 1000
    assert reply.usage.completion_tokens == entry.completion_tokens == 50
    assert reply.usage.cached_tokens == 600
    assert 0 < reply.usage.cost_pusd < 1000 * facts.prompt_pusd + 50 * facts.completion_pusd
    assert reply.latency_s > 0
    assert entry.key == "key-of-the-test"


async def test_parallel_tool_calls_go_both_ways(wire: str) -> None:
    wanted = calls(call("add", {"a": 1, "b": 2}), call("add", {"a": 3, "b": 4}))
    heard: list[Ask] = []

    def brain(ask: Ask) -> Say:
        heard.append(ask)
        return text("done") if ask.results else wanted

    async with bench(wire, brain) as at:
        question = at.request(tools=(ADD,))
        first = await at.model.complete(question)
        results = tuple(
            Message(role="tool", content=str(n), tool_call_id=c.id)
            for n, c in enumerate(first.message.tool_calls)
        )
        second = await at.model.complete(
            replace(question, messages=(*question.messages, first.message, *results))
        )

    assert first.finish == "tool_calls"
    assert [c.name for c in first.message.tool_calls] == ["add", "add"]
    assert [c.arguments.replace(" ", "") for c in first.message.tool_calls] == [
        '{"a":1,"b":2}',
        '{"a":3,"b":4}',
    ]
    assert second.message.content == "done"
    assert heard[0].tools[0].arguments["properties"] == ADD.arguments["properties"]
    assert [r.content for r in heard[1].results] == ["0", "1"]
    assert [r.tool_call_id for r in heard[1].results] == [c.id for c in first.message.tool_calls]


async def test_limits_and_stops_are_sent_and_what_a_provider_lacks_is_left_out(wire: str) -> None:
    heard: list[Ask] = []

    def brain(ask: Ask) -> Say:
        heard.append(ask)
        return text("4")

    async with bench(wire, brain) as at:
        await at.model.complete(at.request(max_tokens=77, temperature=0.25, seed=11, stop=("END",)))

    [ask] = heard
    assert (ask.max_tokens, ask.temperature, ask.stop) == (77, 0.25, ("END",))
    assert ask.seed == (11 if wire.startswith("openai") else None)


@pytest.mark.parametrize(
    ("fault", "expected", "kind"),
    [
        (Fault.RATE_LIMIT, TransientModelError, "rate_limit"),
        (Fault.ERROR_500, TransientModelError, "server_error"),
        (Fault.ERROR_502, TransientModelError, "server_error"),
        (Fault.ERROR_503, TransientModelError, "overloaded"),
        (Fault.OVERLOADED, TransientModelError, "overloaded"),
        (Fault.RESET_BEFORE, TransientModelError, "connection"),
        (Fault.RESET_WITHIN, TransientModelError, "connection"),
        (Fault.INVALID_JSON, TransientModelError, "invalid_reply"),
        (Fault.NOT_AN_OBJECT, TransientModelError, "invalid_reply"),
        (Fault.EMPTY_CHOICES, TransientModelError, "invalid_reply"),
        (Fault.WRONG_TYPE, TransientModelError, "invalid_reply"),
        (Fault.AUTH, ModelConfigError, "auth"),
        (Fault.PERMISSION, ModelConfigError, "permission"),
        (Fault.UNKNOWN_MODEL, ModelConfigError, "unknown_model"),
        (Fault.QUOTA, ModelConfigError, "quota"),
        (Fault.REDIRECT, ModelConfigError, "unknown_model"),
        (Fault.BAD_REQUEST, ModelError, "bad_request"),
        (Fault.TOO_LONG, ModelError, "context_too_long"),
        (Fault.CONTENT_POLICY, ModelError, "content_filter"),
    ],
)
async def test_each_fault_is_one_error_that_says_what_to_do(
    wire: str, fault: Fault, expected: type[ModelError], kind: str
) -> None:
    async with bench(wire, lambda ask: text("4")) as at:
        at.provider.faults = ScriptedFaults(fault)

        with pytest.raises(expected) as caught:
            await at.model.complete(at.request())

        assert len(at.provider.ledger) == 1  # no retries of its own
        assert caught.value.kind == kind
        assert caught.value.model == at.name
        said = str(caught.value)
        assert "(retry)" in said or "do not retry" in said or "fix your config" in said
        assert "key-of-the-test" not in said
        assert "\n" not in said
        assert (await at.model.complete(at.request())).message.content == "4"


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT_WAIT, Fault.RATE_LIMIT_DATE])
async def test_a_provider_says_how_long_to_wait(wire: str, fault: Fault) -> None:
    async with bench(wire, lambda ask: text("4")) as at:
        at.provider.faults, at.provider.retry_after_s = ScriptedFaults(fault), 30.0

        with pytest.raises(TransientModelError) as caught:
            await at.model.complete(at.request())

    assert caught.value.retry_after_s is not None
    assert 25 < caught.value.retry_after_s <= 30


async def test_no_reply_in_time_is_a_timeout_that_may_be_billed(wire: str) -> None:
    async with bench(wire, lambda ask: text("4"), timeout_s=0.3) as at:
        at.provider.faults = ScriptedFaults(Fault.TIMEOUT)

        with pytest.raises(TransientModelError) as caught:
            await at.model.complete(at.request())

    assert (caught.value.kind, caught.value.billed) == ("timeout", True)


async def test_cut_off_and_filtered_replies_are_told_apart(wire: str) -> None:
    async with bench(wire, lambda ask: text("forty-two")) as at:
        at.provider.faults = ScriptedFaults(Fault.CUT_OFF, Fault.FILTERED)

        cut = await at.model.complete(at.request())
        filtered = await at.model.complete(at.request())

    assert (cut.finish, cut.message.content) == ("length", "fort")
    assert (filtered.finish, filtered.message.content) == ("content_filter", "")


async def test_a_reply_without_a_bill_is_never_under_counted(wire: str) -> None:
    async with bench(wire, lambda ask: text("4")) as at:
        at.provider.faults = ScriptedFaults(Fault.MISSING_USAGE)
        request = at.request()
        if wire.startswith("anthropic"):  # LiteLLM cannot read such a reply: unreadable, and billed
            with pytest.raises(TransientModelError) as caught:
                await at.model.complete(request)
            assert (caught.value.kind, caught.value.billed) == ("invalid_reply", True)
            return
        reply = await at.model.complete(request)

        [entry] = at.provider.ledger
        assert reply.usage.prompt_tokens >= entry.prompt_tokens
        assert reply.usage.completion_tokens >= entry.completion_tokens


async def test_lone_surrogates_pass_in_neither_direction(wire: str) -> None:
    async with bench(wire, lambda ask: text(ask.question)) as at:
        reply = await at.model.complete(at.request("caf\u00e9 \ud83d half \U0001f600"))

    assert reply.message.content == "caf\u00e9 \ufffd half \U0001f600"


async def test_cancelling_a_call_hangs_up(wire: str) -> None:
    async with bench(wire, lambda ask: text("4"), latency_s=5) as at:
        started_s = time.monotonic()
        with anyio.move_on_after(0.2):
            await at.model.complete(at.request())
        assert time.monotonic() - started_s < 1
        with anyio.fail_after(2):
            await at.provider.ledger.idle()

    assert [entry.outcome for entry in at.provider.ledger] == ["client_gone"]


async def test_leaving_closes_every_connection_and_ends_every_task(wire: str) -> None:
    before_tasks = asyncio.all_tasks()
    before_sockets = len(psutil.Process().net_connections())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with bench(wire, lambda ask: text("4")) as at, anyio.create_task_group() as group:
            for n in range(8):
                group.start_soon(at.model.complete, at.request(str(n)))
        gc.collect()

    await anyio.lowlevel.checkpoint()
    assert asyncio.all_tasks() - before_tasks == set()
    assert len(psutil.Process().net_connections()) <= before_sockets


async def test_one_model_leaving_does_not_disturb_another(wire: str) -> None:
    async with bench(wire, lambda ask: text("4"), latency_s=0.3) as at:
        settings = {at.name: at.model._settings[at.name]}
        async with LiteLLMModel(settings) as other, anyio.create_task_group() as group:
            await other.complete(at.request("first"))
            group.start_soon(at.model.complete, at.request("second"))
            await anyio.sleep(0.1)

        assert (await at.model.complete(at.request("third"))).message.content == "4"
