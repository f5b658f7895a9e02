"""LiteLLM as the authority on names, keys and prices, and as a quiet guest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.loading import load_litellm
from funcforge.adapters.models.prices import TokenCounts
from funcforge.adapters.models.resolution import litellm_cost, resolve
from funcforge.adapters.models.settings import ModelSettings
from funcforge.engine.errors import ModelConfigError
from funcforge.engine.messages import Message, Request, Tool


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_API_BASE")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o-mini", "OPENAI_API_KEY"),
        ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY"),
        ("groq/llama-3.1-8b-instant", "GROQ_API_KEY"),
        ("together_ai/x", "TOGETHERAI_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
    ],
)
def test_a_missing_key_names_its_variable(model: str, variable: str) -> None:
    with pytest.raises(ModelConfigError, match=variable) as caught:
        LiteLLMModel().describe(model)

    assert caught.value.kind == "auth"


def test_a_named_key_variable_is_the_one_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"openai/gpt-4o-mini": ModelSettings(api_key_env="SECOND_ACCOUNT")}
    with pytest.raises(ModelConfigError, match="SECOND_ACCOUNT"):
        LiteLLMModel(settings).describe("openai/gpt-4o-mini")

    monkeypatch.setenv("SECOND_ACCOUNT", "key-2")
    resolved = resolve(load_litellm(), "openai/gpt-4o-mini", settings["openai/gpt-4o-mini"])

    assert resolved.key == "key-2"


@pytest.mark.parametrize("model", ["opneai/gpt-4o-mini", "nosuchprovider/x", "gpt-99"])
def test_an_unknown_name_is_a_config_error(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelConfigError) as caught:
        LiteLLMModel().describe(model)

    assert caught.value.kind == "unknown_model"
    assert ("openai" in str(caught.value)) == model.startswith("opn")
    assert capsys.readouterr().out == ""


def test_a_server_of_ones_own_needs_no_key() -> None:
    settings = ModelSettings(base_url="http://127.0.0.1:1/v1")

    facts = LiteLLMModel(default=settings).describe("openai/my-model")

    assert facts.prompt_pusd is None
    assert facts.account == "openai@127.0.0.1:1/v1"


def test_accounts_differ_by_key_and_never_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = set()
    for key in ("sk-one-secret", "sk-two-secret"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        accounts.add(LiteLLMModel().describe("openai/gpt-4o-mini").account)
        resolved = resolve(load_litellm(), "openai/gpt-4o-mini", ModelSettings())
        assert key not in repr(resolved)

    assert len(accounts) == 2
    assert not any("secret" in account for account in accounts)


def test_facts_are_litellms_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    table = load_litellm().model_cost["gpt-4o-mini"]
    own = ModelSettings(
        context_tokens=5_000,
        max_output_tokens=600,
        prompt_usd_per_million=0.5,
        completion_usd_per_million=2.0,
    )

    known = LiteLLMModel().describe("openai/gpt-4o-mini")
    overridden = LiteLLMModel({"openai/gpt-4o-mini": own}).describe("openai/gpt-4o-mini")

    assert known.context_tokens == table["max_input_tokens"]
    assert known.prompt_pusd == 150_000
    assert known.completion_pusd == 600_000
    assert (overridden.context_tokens, overridden.max_output_tokens) == (5_000, 600)
    assert (overridden.prompt_pusd, overridden.completion_pusd) == (500_000, 2_000_000)


def test_a_model_that_costs_but_has_no_price_is_unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")

    facts = LiteLLMModel().describe("anthropic/claude-that-nobody-knows")
    local = LiteLLMModel().describe("hosted_vllm/anything")

    assert (facts.prompt_pusd, facts.completion_pusd) == (None, None)
    assert (local.prompt_pusd, local.completion_pusd) == (0, 0)


def test_a_tiered_price_is_reserved_at_its_dearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    table = load_litellm().model_cost["gemini/gemini-2.5-pro"]

    facts = LiteLLMModel().describe("gemini/gemini-2.5-pro")

    assert facts.prompt_pusd == round(table["input_cost_per_token_above_200k_tokens"] * 1e12)


@pytest.mark.parametrize(
    "model",
    ["openai/gpt-4o-mini", "openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "openai/o3-mini"],
)
@pytest.mark.parametrize(
    "counts",
    [
        TokenCounts(prompt=1, completion=1),
        TokenCounts(prompt=12_345, completion=678),
        TokenCounts(prompt=12_345, completion=678, cached=10_000),
        TokenCounts(prompt=999_999, completion=64_000, cached=123_456),
    ],
)
def test_costs_equal_litellms(
    model: str, counts: TokenCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    litellm = load_litellm()
    resolved = resolve(litellm, model, ModelSettings())
    usage: dict[str, Any] = {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
    }
    response = litellm.ModelResponse(model=resolved.name, usage=litellm.Usage(**usage))

    theirs = round(litellm.completion_cost(response, custom_llm_provider=resolved.provider) * 1e12)

    if resolved.prices_are_exact:
        assert abs(resolved.prices.cost(counts) - theirs) <= 1
    assert litellm_cost(litellm, resolved, usage) == theirs


async def test_tools_are_refused_rather_than_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ModelSettings(base_url="http://127.0.0.1:1")
    tool = Tool(name="f", description="", arguments={"type": "object"})
    model = "perplexity/sonar"
    monkeypatch.setenv("PERPLEXITYAI_API_KEY", "k")
    request = Request(model=model, messages=(Message(role="user", content="x"),), tools=(tool,))

    async with LiteLLMModel(default=settings) as asked:
        with pytest.raises(ModelConfigError) as caught:
            await asked.complete(request)

    assert caught.value.kind == "unsupported"


async def test_the_embedded_model_is_asked_through_the_same_door() -> None:
    request = Request(
        model="embedded/apprentice", messages=(Message(role="user", content="What is 2 + 2?"),)
    )

    async with LiteLLMModel() as model:
        reply = await model.complete(request)
        facts = model.describe("embedded/apprentice")

    assert reply.message.role == "assistant"
    assert reply.usage.calls == 1
    assert reply.usage.prompt_tokens > 0
    assert reply.usage.cost_pusd == 0
    assert (facts.account, facts.prompt_pusd) == ("embedded", 0)


_GUEST = """
import json, logging, os, socket, sys, threading, warnings
warnings.simplefilter("error")
class Refused(Exception): pass
def refuse(*_): raise Refused("network")
socket.socket.connect = socket.getaddrinfo = refuse
import funcforge.adapters.models.litellm as ours
early = "litellm" in sys.modules
before = dict(os.environ), list(logging.getLogger().handlers), set(threading.enumerate())
model = ours.LiteLLMModel(default=ours.ModelSettings(base_url="http://127.0.0.1:1/v1"))
facts = model.describe("openai/gpt-4o-mini")
after = dict(os.environ), list(logging.getLogger().handlers), set(threading.enumerate())
print(json.dumps([early, before[0] == after[0], before[1:] == after[1:], facts.prompt_pusd]))
"""


def test_loading_is_late_silent_offline_and_leaves_the_process_as_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GUEST],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp")},
    )

    assert json.loads(done.stdout) == [False, True, True, 150_000]
    assert done.stderr == ""
