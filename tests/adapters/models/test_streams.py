"""A streamed reply is the reply that would have come whole, and it is timed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from funcforge.adapters.models import acompletion, fast
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.loading import load_litellm
from funcforge.adapters.models.settings import ModelSettings
from funcforge.engine.errors import ModelError, TransientModelError
from funcforge.engine.messages import Reply, Request

from tests.adapters.models.test_fast import (
    ASKED,
    EACH,
    LOOKUP,
    NOTHING,
    RAW,
    REPLIES,
    REQUESTS,
    _base,
    _headers,
    _key_variable,
)
from tests.loopback.brains import echo
from tests.loopback.faults import Fault, ScriptedFaults
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, call, calls, text

WIRES = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]
STREAMED = [one for one in EACH if not str(one.values[0]).startswith(("gemini/", "bedrock/"))]


# of LiteLLM's own code, where it reads streams
pytestmark = [
    pytest.mark.filterwarnings("ignore:Item 'summary' on TypedDict"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_API_BASE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KEY_OF_THE_TEST", "key-of-the-test")


async def ask(
    model: str,
    requests: list[Request],
    brain: Callable[[Ask], Say],
    *,
    stream: bool = True,
    faults: list[Fault] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> tuple[list[Reply | ModelError], list[Ask], list[str]]:
    """Return what was said, what was heard, and which models took the other lane."""
    asks: list[Ask] = []
    said: list[Reply | ModelError] = []
    doubts: list[str] = []

    def listen(asked: Ask) -> Say:
        asks.append(asked)
        return brain(asked)

    async with LoopbackProvider(brain=listen) as provider:
        provider.faults = ScriptedFaults(*(faults or ()))
        settings = ModelSettings(
            base_url=_base(provider, model), api_key_env=_key_variable(model), stream=stream,
            extra=extra or {},
        )  # fmt: skip
        async with LiteLLMModel({model: settings}, notice=doubts.append) as asked:
            for request in requests:
                try:
                    said.append(await asked.complete(replace(request, model=model)))
                except ModelError as error:
                    said.append(error)
    return said, asks, doubts


async def ask_litellm(model: str, requests: list[Request]) -> list[Ask]:
    """Return what is heard where LiteLLM's own call streams."""
    asks: list[Ask] = []

    def listen(asked: Ask) -> Say:
        asks.append(asked)
        return echo(asked)

    async with LoopbackProvider(brain=listen) as provider:
        settings = ModelSettings(
            base_url=_base(provider, model), api_key_env=_key_variable(model), stream=True
        )
        async with LiteLLMModel({model: settings}) as ours:
            await ours.load()
            for request in requests:
                arguments = acompletion._arguments(
                    ours._resolve(model), replace(request, model=model)
                )
                stream = await load_litellm().acompletion(
                    **arguments, stream=True, stream_options={"include_usage": True}
                )
                async for _ in stream:
                    pass
    return asks


def plain(said: Reply | ModelError) -> object:
    """What must be equal: all but the times."""
    if isinstance(said, Reply):
        return replace(said, latency_s=0.0, first_token_s=None)
    return type(said), said.kind


# LiteLLM's own streams of many models look for a tokenizer on the internet: half a minute each
@pytest.mark.parametrize("model", [one for one in STREAMED if not one.marks])
async def test_streamed_requests_are_those_of_litellm(model: str) -> None:
    if model.startswith("groq/"):
        pytest.skip("without a bill LiteLLM looks for a tokenizer on the internet")
    requests = list(REQUESTS.values())
    _, ours, doubts = await ask(model, requests, echo)
    theirs = await ask_litellm(model, requests)

    assert doubts == []
    assert len(ours) == len(theirs) > 0
    for our, their in zip(ours, theirs, strict=True):
        assert our.body == their.body
        assert our.body["stream"] is True
        assert (our.path, _headers(our)) == (their.path, _headers(their))


@pytest.mark.parametrize("model", STREAMED)
async def test_a_streamed_reply_is_the_whole_one(model: str) -> None:
    requests = [replace(ASKED, tools=(LOOKUP, NOTHING))] * len(REPLIES)
    whole, _, _ = await ask(model, requests, script(), stream=False)
    ours, _, doubts = await ask(model, requests, script())

    assert doubts == []
    for name, one, other in zip(REPLIES, ours, whole, strict=True):
        assert plain(one) == plain(other), name
        spoke = isinstance(other, Reply) and (other.message.content or other.message.tool_calls)
        if spoke and isinstance(one, Reply) and name != "reasoning inline":
            assert one.first_token_s is not None
            assert 0 < one.first_token_s <= one.latency_s


def script() -> Callable[[Ask], Say]:
    """Say all replies in turn."""
    lines = iter(REPLIES.values())
    return lambda asked: next(lines)


def _spaced(said: Reply | ModelError) -> Reply | ModelError:
    """Arguments of calls with the spaces that Anthropic's wire has none of."""
    if not isinstance(said, Reply):
        return said
    wanted = tuple(
        replace(one, arguments=json.dumps(json.loads(one.arguments)))
        for one in said.message.tool_calls
    )
    return replace(said, message=replace(said.message, tool_calls=wanted))


async def test_what_litellm_asks_itself_comes_whole_and_says_so() -> None:
    for model in ("gemini/gemini-2.5-flash", WIRES[0]):
        said, asks, doubts = await ask(
            model, [ASKED], lambda a: text("Four."), extra={"service_tier": "flex"}
        )

        [reply] = said
        assert isinstance(reply, Reply), reply
        assert (reply.message.content, reply.first_token_s) == ("Four.", None)
        assert not asks[0].body.get("stream")
        assert [doubt for doubt in doubts if "is not streamed" in doubt], doubts


async def test_arguments_of_parallel_calls_are_kept_apart() -> None:
    wanted = [call("look_up", {"item": "tea" * 30, "count": at}) for at in range(3)]
    for model in WIRES:
        said, _, _ = await ask(model, [replace(ASKED, tools=(LOOKUP,))], lambda a: calls(*wanted))
        reply = _spaced(said[0])
        assert isinstance(reply, Reply)
        assert list(reply.message.tool_calls) == wanted, model


@pytest.mark.parametrize("name", RAW)
async def test_odd_replies_are_read_as_whole_ones(name: str) -> None:
    if name == "finish absent":
        pytest.skip("a stream without an end is a broken one")
    whole, _, _ = await ask("openai/m", [ASKED], lambda a: Say(raw=RAW[name]), stream=False)
    ours, _, _ = await ask("openai/m", [ASKED], lambda a: Say(raw=RAW[name]))

    assert [*map(plain, ours)] == [*map(plain, whole)]


@pytest.mark.parametrize("model", WIRES)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.RESET_WITHIN, "connection"),
        (Fault.STREAM_CUT, "connection"),
        (Fault.STREAM_ERROR, "overloaded"),
        (Fault.INVALID_JSON, "invalid_reply"),
        (Fault.NOT_AN_OBJECT, "invalid_reply"),
        (Fault.WRONG_TYPE, "invalid_reply"),
    ],
)
async def test_a_stream_that_breaks_is_no_reply_and_asked_again(
    model: str, fault: Fault, kind: str
) -> None:
    said, _, _ = await ask(model, [ASKED] * 2, lambda a: text("It is four. " * 20), faults=[fault])

    error, reply = said
    assert isinstance(error, TransientModelError), error
    assert error.kind == kind
    assert error.billed, "it had begun to answer"
    assert isinstance(reply, Reply), reply
    assert reply.message.content.strip() == ("It is four. " * 20).strip()


async def test_a_stream_without_a_bill_is_counted_at_its_bound() -> None:
    model = WIRES[0]  # Anthropic's always come with one
    said, _, _ = await ask(model, [ASKED], lambda a: text("Four."), faults=[Fault.MISSING_USAGE])

    [reply] = said
    assert isinstance(reply, Reply), reply
    assert reply.message.content == "Four."
    assert reply.usage.prompt_tokens == replace(ASKED, model=model).token_bound()


@pytest.mark.parametrize("model", WIRES)
async def test_an_endless_stream_is_left(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "LARGEST_STREAM", 300_000)
    said, _, _ = await ask(model, [ASKED], lambda a: text("on and on " * 9), faults=[Fault.ENDLESS])

    [error] = said
    assert isinstance(error, TransientModelError), error
    assert (error.kind, error.billed) == ("invalid_reply", True)
    assert "more than" in str(error)


@pytest.mark.parametrize("model", WIRES)
async def test_the_first_token_is_timed(model: str) -> None:
    async with LoopbackProvider(brain=echo, latency_s=0.05, piece_s=0.02) as provider:
        settings = ModelSettings(
            base_url=_base(provider, model), api_key_env=_key_variable(model), stream=True
        )
        request = replace(ASKED, model=model)
        async with LiteLLMModel({model: settings}) as asked:
            await asked.complete(request)  # connects, imports
            reply = await asked.complete(request)

    assert reply.first_token_s is not None
    assert 0.05 <= reply.first_token_s < reply.latency_s - 0.02


async def test_a_server_that_knows_no_streams_answers_at_once() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(RAW["details"])

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        settings = ModelSettings(base_url=url, api_key_env="KEY_OF_THE_TEST", stream=True)
        async with LiteLLMModel({"openai/m": settings}) as asked:
            reply = await asked.complete(replace(ASKED, model="openai/m"))
    finally:
        await runner.cleanup()

    assert (reply.message.content, reply.first_token_s) == ("Four.", None)
    assert reply.usage.cached_tokens == 20
