"""Golden equivalence: the fast lane sends what acompletion sends, and reads what it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from funcforge.adapters.models import fast
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.settings import ModelSettings
from funcforge.adapters.models.spelling import Unproven
from funcforge.adapters.models.wires import OPENAI_WIRE
from funcforge.engine.errors import (
    ModelError,
    RequestRefused,
)
from funcforge.engine.messages import Message, Reply, Request, Tool, ToolCall

from tests.loopback.brains import echo
from tests.loopback.faults import Fault, ScriptedFaults
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, call, calls, text

NAMES = {
    "openai": "gpt-4o-mini",
    "azure": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "sambanova": "Meta-Llama-3.3-70B-Instruct",
    "groq": "llama-3.3-70b-versatile",
    "deepseek": "deepseek-chat",
    "mistral": "mistral-small-latest",
    "xai": "grok-3",
    "cerebras": "llama3.1-8b",
    "openrouter": "openai/gpt-4o-mini",
    "together_ai": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
}
MODELS = [f"{provider}/{NAMES.get(provider, 'some-model')}" for provider in sorted(OPENAI_WIRE)]
MODELS += ["anthropic/claude-haiku-4-5", "openai/o3-mini", "openai/gpt-5-mini", "openai/gpt-4.1"]
MODELS += ["azure/o3-mini", "azure/gpt-5-mini", "azure/my-deployment"]
MODELS += ["gemini/gemini-2.5-flash", "gemini/gemini-2.0-flash", "gemini/gemini-3-pro-preview"]
MODELS += [
    "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock/amazon.nova-lite-v1:0",
    "bedrock/meta.llama3-1-70b-instruct-v1:0",
]
# one of each way through the lane; the others take the same ways
QUICK = {"openai/gpt-4o-mini", "openai/o3-mini", "anthropic/claude-haiku-4-5"}
QUICK |= {f"mistral/{NAMES['mistral']}", f"groq/{NAMES['groq']}"}
WIRES = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"]
WIRES += ["bedrock/amazon.nova-lite-v1:0"]
QUICK |= {*WIRES, "azure/gpt-4o-mini"}
EACH = [pytest.param(model, marks=[] if model in QUICK else [pytest.mark.slow]) for model in MODELS]
HEADERS = (
    "authorization",
    "x-api-key",
    "anthropic-version",
    "anthropic-beta",
    "content-type",
    "x-goog-api-key",
    "api-key",
)

LOOKUP = Tool(
    name="look_up",
    description="Find a price.\nIn a table.",
    arguments={
        "type": "object",
        "properties": {
            "item": {"type": "string", "description": "é", "enum": ["tea", "rye"]},
            "count": {"type": ["integer", "null"], "minimum": 0},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["item"],
        "additionalProperties": False,
    },
)
NOTHING = Tool(name="nothing", description="", arguments={"type": "object", "properties": {}})
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "number"}},
    "required": ["answer"],
    "additionalProperties": False,
}
CALLS = (
    ToolCall(id="call_a", name="look_up", arguments='{"item": "tea"}'),
    ToolCall(id="call_b", name="nothing", arguments="{}"),
)
DIALOGUE = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="How much is tea?"),
    Message(role="assistant", content="", tool_calls=CALLS),
    Message(role="tool", content="3.20", tool_call_id="call_a"),
    Message(role="tool", content="", tool_call_id="call_b"),
    Message(role="assistant", content="It is 3.20. "),
    Message(role="user", content="And rye?\U0001f35e"),
    Message(role="assistant", content="I look.", tool_calls=CALLS[:1]),
    Message(role="tool", content="Error: no such item", tool_call_id="call_a"),
)
ASKED = Request(model="", messages=(Message(role="user", content="2 + 2?"),))
REQUESTS: dict[str, Request] = {
    "text": ASKED,
    "limits": replace(ASKED, max_tokens=7, temperature=0.3, stop=("END", "###"), seed=5),
    "zero": replace(ASKED, temperature=0.0, seed=0),
    "tools": replace(ASKED, tools=(LOOKUP, NOTHING), seed=12),
    "required": replace(ASKED, tools=(NOTHING,), tool_choice="required"),
    "none": replace(ASKED, tools=(NOTHING,), tool_choice="none"),
    "dialogue": replace(ASKED, messages=DIALOGUE, tools=(LOOKUP, NOTHING)),
    "dialogue without tools": replace(ASKED, messages=DIALOGUE),
    "json": replace(ASKED, json_schema=SCHEMA),
    "long": replace(ASKED, messages=(Message(role="user", content="tea \u00e9\n" * 4_000),)),
    "surrogates": replace(ASKED, messages=(Message(role="user", content="a\ud800b"),)),
    "marked": replace(
        ASKED,
        messages=(
            Message(role="system", content="Be brief.", stable=9),
            Message(role="user", content="One. Two?", stable=5),
        ),
        tools=(LOOKUP,),
    ),
    "empty": replace(ASKED, messages=(Message(role="system", content=""), *ASKED.messages)),
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_API_BASE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KEY_OF_THE_TEST", "key-of-the-test")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")


def _base(provider: LoopbackProvider, model: str) -> str:
    rooted = model.startswith(("anthropic/", "gemini/", "bedrock/", "azure/"))
    return provider.url if rooted else provider.openai_base_url


def _key_variable(model: str) -> str | None:
    return None if model.startswith("bedrock/") else "KEY_OF_THE_TEST"  # it signs with AWS's own


async def _both(
    model: str,
    requests: list[Request],
    brain: Callable[[Ask], Say],
    *,
    faults: list[Fault] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> tuple[list[list[Ask]], list[list[Reply | ModelError]], list[str]]:
    """Ask through the fast lane and through acompletion; return what was heard and said."""
    heard: list[list[Ask]] = []
    said: list[list[Reply | ModelError]] = []
    doubts: list[str] = []
    for is_fast in (True, False):
        asks: list[Ask] = []
        answers: list[Reply | ModelError] = []

        def listen(ask: Ask, asks: list[Ask] = asks) -> Say:
            asks.append(ask)
            return brain(ask)

        async with LoopbackProvider(brain=listen) as provider:
            provider.faults = ScriptedFaults(*(faults or ()))
            settings = ModelSettings(
                base_url=_base(provider, model), api_key_env=_key_variable(model), extra=extra or {}
            )
            async with LiteLLMModel({model: settings}, fast=is_fast, notice=doubts.append) as asked:
                for request in requests:
                    try:
                        reply = await asked.complete(replace(request, model=model))
                        answers.append(replace(reply, latency_s=0.0))
                    except ModelError as error:
                        answers.append(error)
        heard.append(asks)
        said.append(answers)
    return heard, said, doubts


@pytest.mark.parametrize("model", EACH)
async def test_requests_are_equal(model: str) -> None:
    heard, said, doubts = await _both(model, list(REQUESTS.values()), echo)

    assert doubts == [] or model.startswith("groq/")  # Groq's JSON mode is left to LiteLLM
    # versions of LiteLLM differ in what they refuse: never in one lane only
    sent_names = [name for name, got in zip(REQUESTS, said[1], strict=True) if _is_reply(got)]
    for name, ours, theirs in zip(sent_names, *heard, strict=True):
        assert ours.body == theirs.body, name
        assert ours.path == theirs.path, name
        assert _headers(ours) == _headers(theirs), name
    assert [_comparable(got) for got in said[0]] == [_comparable(got) for got in said[1]]


def _headers(ask: Ask) -> dict[str, str]:
    # AWS's signature covers the time and the port, and has a test of its own
    return {key: ask.headers.get(key, "").partition("Signature=")[0] for key in HEADERS}


def _is_reply(got: Reply | ModelError) -> bool:
    return isinstance(got, Reply)


def _comparable(got: Reply | ModelError) -> object:
    return got if isinstance(got, Reply) else (type(got), str(got))


@pytest.mark.parametrize(
    ("model", "marks"),
    [
        ("anthropic/claude-haiku-4-5", 2),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", 2),
        ("openai/gpt-4o-mini", 0),
        ("gemini/gemini-2.5-flash", 0),
        ("bedrock/meta.llama3-1-70b-instruct-v1:0", 0),
    ],
)
async def test_what_stays_the_same_is_marked_where_the_provider_takes_it(
    model: str, marks: int
) -> None:
    heard, _, _ = await _both(model, [REQUESTS["marked"]], echo)

    for [ask] in heard:
        text = json.dumps(ask.body)
        assert text.count("cache_control") + text.count("cachePoint") == marks


REPLIES: dict[str, Say] = {
    "text": text("Four."),
    "nothing": Say(prompt_tokens=9, completion_tokens=2),
    "bill": Say(content="4", prompt_tokens=2_000, completion_tokens=70, cached_tokens=1_500),
    "calls": calls(call("look_up", {"item": "tea"}), call("nothing", {}), content="I look."),
    "reasoning": Say(content="Four.", reasoning="Two and two."),
    "reasoning inline": text("<think>Two and two.</think>Four."),
    "cut": Say(content="Fo", finish="length"),
    "filtered": Say(finish="content_filter"),
    "unicode": text("caf\u00e9 \U0001f375 \u2028 \x00 end"),
}


@pytest.mark.parametrize("model", EACH)
async def test_replies_and_their_costs_are_equal(model: str) -> None:
    script = iter([*REPLIES.values()] * 2)

    _, said, doubts = await _both(
        model, [replace(ASKED, tools=(LOOKUP, NOTHING))] * len(REPLIES), lambda ask: next(script)
    )

    assert doubts == []
    for name, ours, theirs in zip(REPLIES, *said, strict=True):
        assert _comparable(ours) == _comparable(theirs), name


def _completion(**choice: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
    message = {"role": "assistant", "content": "Four."}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"} | choice],
        "usage": usage,
    }


def _calling(function: Any, finish: str = "tool_calls") -> dict[str, Any]:
    wanted = [{"id": "c", "type": "function", "function": function}]
    message = {"role": "assistant", "content": None, "tool_calls": wanted}
    return _completion(message=message, finish_reason=finish)


RAW: dict[str, dict[str, Any]] = {
    "finish unknown": _completion(finish_reason="eos_token"),
    "finish absent": _completion(finish_reason=None),
    "calls that end with stop": _calling({"name": "f", "arguments": "{}"}, "stop"),
    "arguments empty": _calling({"name": "f", "arguments": ""}),
    "reasoning field": _completion(
        message={"role": "assistant", "content": "4", "reasoning_content": "2+2"}
    ),
    "cache hits by deepseek": _completion()
    | {
        "usage": {
            "prompt_tokens": 50,
            "completion_tokens": 5,
            "total_tokens": 55,
            "prompt_cache_hit_tokens": 20,
            "prompt_cache_miss_tokens": 30,
        }
    },
    "details": _completion()
    | {
        "usage": {
            "prompt_tokens": 50,
            "completion_tokens": 25,
            "total_tokens": 75,
            "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20},
        }
    },
}


@pytest.mark.parametrize("name", RAW)
async def test_odd_replies_are_read_alike(name: str) -> None:
    _, said, _ = await _both("openai/gpt-4o-mini", [ASKED], lambda ask: Say(raw=RAW[name]))

    assert said[0] == said[1]


@pytest.mark.parametrize("model", WIRES)
async def test_errors_are_equal(model: str) -> None:
    faults = [
        fault
        for fault in Fault
        if fault not in {Fault.TIMEOUT, Fault.ENDLESS, Fault.SLOW_BODY, Fault.MISSING_USAGE}
    ]

    _, said, _ = await _both(model, [ASKED] * len(faults), echo, faults=faults)

    for fault, ours, theirs in zip(faults, *said, strict=True):
        assert type(ours) is type(theirs), fault
        if isinstance(ours, ModelError) and isinstance(theirs, ModelError):
            assert ours.billed == theirs.billed, fault
            # older versions of LiteLLM see half a body, and not that the connection broke;
            # all make a 503 of Bedrock's 500
            told = fault in {Fault.RESET_WITHIN, Fault.ERROR_500}
            assert ours.kind == theirs.kind or told, fault


async def test_extra_parameters_are_mapped_or_take_the_other_lane() -> None:
    heard, _, doubts = await _both("openai/gpt-4o-mini", [ASKED], echo, extra={"top_p": 0.5})
    assert heard[0][0].body == heard[1][0].body
    assert doubts == []

    heard, _, doubts = await _both("openai/gpt-4o-mini", [ASKED], echo, extra={"top_k": 3})
    assert heard[0][0].body == heard[1][0].body
    assert "top_k" in doubts[0]


async def test_an_untested_version_falls_back_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast, "is_tested_version", lambda: False)

    heard, said, doubts = await _both("openai/gpt-4o-mini", [ASKED] * 3, echo)

    assert said[0] == said[1]
    assert "x-stainless-lang" in heard[0][0].headers  # the SDK's mark: it went through LiteLLM
    assert len(doubts) == 1
    assert "not a version it was tested with" in doubts[0]


async def test_a_failed_self_check_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from funcforge.adapters.models import spelling

    def spoilt(self: Any, messages: Any, headers: Any) -> Any:
        return {"messages": messages}

    monkeypatch.setattr(spelling.Spelling, "translate", spoilt)

    _, said, doubts = await _both("openai/gpt-4o-mini", [ASKED], echo)

    assert said[0] == said[1]
    assert len(doubts) == 1


async def test_models_of_the_responses_endpoint_are_left_to_litellm() -> None:
    from funcforge.adapters.models.fast import FastLane
    from funcforge.adapters.models.loading import load_litellm
    from funcforge.adapters.models.resolution import resolve

    litellm = load_litellm()
    name = "openai/gpt-5-codex"
    resolved = resolve(litellm, name, ModelSettings(api_key_env="KEY_OF_THE_TEST"))
    request = replace(ASKED, model=name, tools=(LOOKUP,))
    lane = FastLane(litellm)

    with pytest.raises(Unproven, match="responses endpoint"):
        await lane.ask(resolved, request)


async def test_bedrock_requests_carry_the_signature_of_what_is_sent() -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    seen: list[bool] = []

    async def check(request: web.BaseRequest) -> web.StreamResponse:
        sent = request.headers
        # what was signed, rebuilt from what arrived: method, place, headers, time, body
        again = AWSRequest(
            method="POST",
            url=f"http://{request.host}{request.raw_path}",
            data=await request.read(),
            headers={"Content-Type": sent["content-type"]},
        )
        again.context["timestamp"] = sent["x-amz-date"]
        again.headers["X-Amz-Date"] = sent["x-amz-date"]
        keys = Credentials("id-of-the-test", "secret-of-the-test")
        signer = SigV4Auth(keys, "bedrock", "us-west-2")
        signature = signer.signature(
            signer.string_to_sign(again, signer.canonical_request(again)), again
        )
        seen.append(sent["authorization"].endswith(f"Signature={signature}"))
        return web.json_response({"message": "enough"}, status=400)

    for is_fast in (True, False):
        with pytest.raises(RequestRefused):
            await _ask_server(check, "bedrock/amazon.nova-lite-v1:0", fast=is_fast)

    assert seen == [True, True]


async def _ask_server(
    handle: Callable[[web.BaseRequest], Any], name: str = "openai/m", *, fast: bool = True
) -> Reply:
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        async with LiteLLMModel(default=ModelSettings(base_url=url), fast=fast) as model:
            return await model.complete(replace(ASKED, model=name))
    finally:
        await runner.cleanup()
