"""What does one model call cost: the fast lane, LiteLLM's own call, and a bare HTTP client?

    python -m benchmarks.throughput.models

A loopback provider in a process of its own answers at once; the prompt has 2 KB and two tools.
Every arm sends the same number of calls at the same concurrency; arms alternate, medians are
shown. CPU is that of the client process, so it does not depend on what else the machine does;
calls per second do.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
import orjson
from funcforge.adapters.models.chat import chat_messages, chat_parameters
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.loading import load_litellm
from funcforge.adapters.models.settings import ModelSettings
from funcforge.engine.messages import Message, Request, Tool

from tests.loopback.process import RemoteProvider, provider_process

RESULTS = Path(__file__).resolve().parents[1] / "results" / "models.md"
OPENAI, ANTHROPIC = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"
KEY = "key-of-the-benchmark"

Ask = Callable[[int], Awaitable[object]]


@dataclass(slots=True)
class Arm:
    """One way to ask."""

    name: str
    ask: Ask
    calls: int
    rates: list[float] = field(default_factory=list)  # calls/s
    cpu_ms: list[float] = field(default_factory=list)  # per call


def _request(model: str, number: int) -> Request:
    schema = {
        "type": "object",
        "properties": {"expression": {"type": "string"}, "digits": {"type": "integer"}},
        "required": ["expression"],
    }
    tools = tuple(
        Tool(name=name, description="Evaluates an expression exactly.", arguments=schema)
        for name in ("calculate", "python")
    )
    content = f"Question {number}. " + "A train leaves with 40 people and 12 get off. " * 44
    return Request(
        model=model,
        messages=(
            Message(role="system", content="Solve the problem. Use tools."),
            Message(role="user", content=content),
        ),
        tools=tools,
        max_tokens=256,
        temperature=0.0,
    )


async def _arms(stack: AsyncExitStack, provider: RemoteProvider, calls: int) -> list[Arm]:
    litellm = load_litellm()
    bases = {OPENAI: provider.openai_base_url, ANTHROPIC: provider.anthropic_base_url}
    settings = {model: ModelSettings(base_url=base) for model, base in bases.items()}
    session = await stack.enter_async_context(
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    )

    async def bare(number: int) -> object:
        request = _request(OPENAI, number)
        body = orjson.dumps(
            {"model": "gpt-4o-mini", "messages": chat_messages(request)} | chat_parameters(request)
        )
        url = f"{provider.openai_base_url}/chat/completions"
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        async with session.post(url, data=body, headers=headers) as response:
            return orjson.loads(await response.read())

    def plain(model: str) -> Ask:
        async def ask(number: int) -> object:
            request = _request(model, number)
            return await litellm.acompletion(
                model=model,
                messages=chat_messages(request),
                api_base=bases[model],
                api_key=KEY,
                **chat_parameters(request),
            )

        return ask

    async def lane(model: str, *, fast: bool) -> Ask:
        asked = await stack.enter_async_context(LiteLLMModel(settings, fast=fast, notice=_fail))
        return lambda number: asked.complete(_request(model, number))

    few = max(calls // 5, 20)  # the slow arms are long enough with fewer
    arms = [Arm("bare aiohttp, OpenAI's wire", bare, calls)]
    for model in (OPENAI, ANTHROPIC):
        provider_name = model.partition("/")[0]
        arms += [
            Arm(f"fast lane, {provider_name}", await lane(model, fast=True), calls),
            Arm(f"fall-back lane, {provider_name}", await lane(model, fast=False), few),
            Arm(f"plain litellm.acompletion, {provider_name}", plain(model), few),
        ]
    return arms


async def _measure(arm: Arm, in_flight: int, *, keep: bool) -> None:
    numbers = iter(range(arm.calls))
    started_s, cpu_s = time.perf_counter(), time.process_time()

    async def worker() -> None:
        for number in numbers:
            await arm.ask(number)

    async with anyio.create_task_group() as group:
        for _ in range(min(in_flight, arm.calls)):
            group.start_soon(worker)
    if keep:
        arm.rates.append(arm.calls / (time.perf_counter() - started_s))
        arm.cpu_ms.append((time.process_time() - cpu_s) / arm.calls * 1000)


def _fail(reason: str) -> None:
    raise RuntimeError(reason)


async def _run(latency_s: float, in_flight: int, calls: int, repeats: int) -> list[Arm]:
    os.environ |= {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
    async with (
        provider_process(
            "--latency", str(latency_s), brain="tests.loopback.brains:fixed"
        ) as provider,
        AsyncExitStack() as stack,
    ):
        arms = await _arms(stack, provider, calls)
        for repeat in range(repeats + 1):  # the first round warms up
            for arm in arms:
                await _measure(arm, in_flight, keep=repeat > 0)
        await load_litellm().close_litellm_async_clients()
    return arms


def _table(title: str, arms: list[Arm]) -> str:
    bare_ms = statistics.median(arms[0].cpu_ms)
    lines = [
        f"## {title}",
        "",
        "| arm | CPU ms per call | of bare | calls/s |",
        "| - | -: | -: | -: |",
    ]
    for arm in arms:
        cpu_ms = statistics.median(arm.cpu_ms)
        rate = statistics.median(arm.rates)
        lines.append(f"| {arm.name} | {cpu_ms:.2f} | {cpu_ms / bare_ms:.1f} x | {rate:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    now = dt.datetime.now(dt.UTC).date().isoformat()
    load = os.getloadavg()[0]
    parts = [
        "# Cost of one model call",
        f"{now}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
        f", load average {load:.1f} at the start. `python -m benchmarks.throughput.models`; "
        f"{options.calls} calls an arm (a fifth for LiteLLM's), {options.repeats} alternated "
        "repeats, medians. 2 KB prompt, two tools; provider in a process of its own.",
    ]
    for title, latency_s, in_flight in (
        ("Provider answers at once, 32 in flight", 0.0, 32),
        ("Provider answers after 0.2 s, 512 in flight", 0.2, 512),
    ):
        arms = asyncio.run(_run(latency_s, in_flight, options.calls, options.repeats))
        parts.append(_table(title, arms))
        print(parts[-1], flush=True)
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
