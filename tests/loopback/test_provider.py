"""The loopback provider keeps what it promises: the other tests stand on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from funcforge.engine.messages import Message, Tool

from tests.loopback.brains import Scripted, Solver, echo
from tests.loopback.faults import Fault, RateLimiter, ScriptedFaults, SeededFaults
from tests.loopback.ledger import Ledger
from tests.loopback.process import provider_process
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, call, calls

HEADERS = {"authorization": "Bearer key-1"}


def _openai(content: str = "2 + 2?", **extra: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}]} | extra


async def _post(
    provider: LoopbackProvider, body: dict[str, Any], path: str = "/v1/chat/completions"
) -> tuple[int, dict[str, Any], dict[str, str]]:
    timeout = aiohttp.ClientTimeout(total=2)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=HEADERS) as session,
        session.post(provider.url + path, json=body) as response,
    ):
        return response.status, await response.json(content_type=None), dict(response.headers)


async def test_speaks_openai_with_parallel_tool_calls_and_usage() -> None:
    brain = Scripted(calls(call("add", {"a": 1}), call("add", {"a": 2})))
    async with LoopbackProvider(brain=brain) as provider:
        tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}

        status, body, _ = await _post(provider, _openai(tools=[tool]))

    assert status == 200
    assert [c["function"]["arguments"] for c in body["choices"][0]["message"]["tool_calls"]] == [
        '{"a": 1}',
        '{"a": 2}',
    ]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    [entry] = provider.ledger
    assert (entry.outcome, entry.key, entry.status) == ("answered", "key-1", 200)
    assert entry.prompt_tokens == body["usage"]["prompt_tokens"]
    assert brain.asks[0].tools[0].name == "add"


async def test_speaks_anthropic_and_hears_the_same_ask_in_it() -> None:
    brain = Scripted("four")
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": "be brief",
        "messages": [
            {"role": "user", "content": "2 + 2?"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "add", "input": {"a": 2}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "4"}],
            },
        ],
    }
    async with LoopbackProvider(brain=brain) as provider:
        status, reply, _ = await _post(provider, body, "/v1/messages")

    assert status == 200
    assert reply["content"] == [{"type": "text", "text": "four"}]
    assert reply["stop_reason"] == "end_turn"
    assert [m.role for m in brain.asks[0].messages] == ["system", "user", "assistant", "tool"]
    assert brain.asks[0].results[0].content == "4"


async def test_refuses_a_missing_key_and_a_malformed_body() -> None:
    async with LoopbackProvider(brain=echo, keys=frozenset({"other"})) as provider:
        assert (await _post(provider, _openai()))[0] == 401
        assert (await _post(provider, {"model": "m"}))[0] == 400


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_WITHIN])
async def test_resets_are_real_and_booked(fault: Fault) -> None:
    async with LoopbackProvider(brain=echo, faults=ScriptedFaults(fault)) as provider:
        with pytest.raises(aiohttp.ClientError):
            await _post(provider, _openai())

        assert [entry.outcome for entry in provider.ledger] == [fault]
        assert (await _post(provider, _openai()))[0] == 200
        assert provider.ledger.entries[1].attempt == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.RATE_LIMIT_WAIT, 429), (Fault.OVERLOADED, 529), (Fault.ERROR_500, 500)],
)
async def test_error_replies_carry_their_status(fault: Fault, status: int) -> None:
    async with LoopbackProvider(brain=echo, faults=ScriptedFaults(fault)) as provider:
        found, _, headers = await _post(provider, _openai())

    assert found == status
    assert ("retry-after" in {name.lower() for name in headers}) == (status == 429)


def test_seeded_faults_depend_on_seed_body_and_attempt_alone() -> None:
    faults = SeededFaults(rate=0.5, seed=3)
    asks = [
        Ask(wire="openai", model="m", messages=(), hash=str(n), attempt=a)
        for n in range(200)
        for a in range(2)
    ]

    first = [faults(ask) for ask in asks]

    assert first == list(reversed([faults(ask) for ask in reversed(asks)]))
    assert first != [SeededFaults(rate=0.5, seed=4)(ask) for ask in asks]
    assert 0.4 < sum(fault is not None for fault in first) / len(first) < 0.6


async def test_the_rate_limiter_refuses_what_goes_beyond_it() -> None:
    limiter = RateLimiter(requests_per_minute=120)
    async with LoopbackProvider(brain=echo, limiter=limiter) as provider:
        found = [await _post(provider, _openai(str(n))) for n in range(5)]

    assert [status for status, _, _ in found] == [200, 200, 429, 429, 429]
    assert provider.ledger.outcomes() == {"answered": 2, "limited": 3}


async def test_a_client_that_hangs_up_is_booked_and_billed() -> None:
    async with LoopbackProvider(brain=echo, latency_s=5) as provider:
        timeout = aiohttp.ClientTimeout(total=0.2)
        async with aiohttp.ClientSession(timeout=timeout, headers=HEADERS) as session:
            with pytest.raises(TimeoutError):
                await session.post(provider.openai_base_url + "/chat/completions", json=_openai())

    [entry] = provider.ledger
    assert entry.outcome == "client_gone"
    assert entry.prompt_tokens > 0


async def test_as_a_process_it_leaves_a_ledger_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    async with provider_process(brain="tests.loopback.brains:echo", ledger_path=path) as remote:
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            url = remote.openai_base_url + "/chat/completions"
            async with session.post(url, json=_openai()) as response:
                assert response.status == 200

        ledger = remote.ledger

    assert isinstance(ledger, Ledger)
    assert [entry.outcome for entry in ledger] == ["answered"]
    assert ledger.peak_in_flight == 1


def test_the_solver_calls_tools_and_answers_by_skill() -> None:
    solver = Solver(answers={"What is 6 times 7?": "42"}, skill=0.0, skill_with={"times": 1.0})
    tool = Tool(
        name="times",
        description="",
        arguments={"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    )
    ask = Ask(
        wire="openai",
        model="m",
        messages=(_user("Solve: What is 6 times 7?"),),
        tools=(tool,),
    )

    first = solver(ask)

    assert first.calls[0].arguments == '{"a": 6, "b": 7}'
    made = _assistant(first)
    after = Ask(
        wire="openai",
        model="m",
        messages=(*ask.messages, made, _tool(first.calls[0].id, "42")),
        tools=(tool,),
    )
    assert solver(after).content == "The answer is 42."
    broken = Ask(
        wire="openai",
        model="m",
        messages=(*ask.messages, made, _tool(first.calls[0].id, "Error: boom")),
        tools=(tool,),
    )
    assert solver(broken).content == "The answer is 43."


def _user(content: str) -> Message:
    return Message(role="user", content=content)


def _assistant(say: Say) -> Message:
    return Message(role="assistant", tool_calls=say.calls)


def _tool(call_id: str, content: str) -> Message:
    return Message(role="tool", content=content, tool_call_id=call_id)
