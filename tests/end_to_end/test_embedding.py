"""Invariant 6: trainings inside an application are good guests."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from funcforge import Opening, open_training
from funcforge.storage.runs import RunReader

from tests.end_to_end.command import ROOT
from tests.end_to_end.leftovers import holdings, left_behind, until
from tests.end_to_end.lessons import lesson_settings, load_lesson, write_lesson
from tests.end_to_end.pupil import pupil, write_problems
from tests.loopback.provider import LoopbackProvider


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")


def load_app() -> Any:
    spec = importlib.util.spec_from_file_location("embed", ROOT / "examples" / "embed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@asynccontextmanager
async def serving(app: Any) -> AsyncGenerator[str]:
    """Serve an app in this event loop, as an application's own server does."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment]
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def stream(client: httpx.AsyncClient, name: str, seen: list[Any], begun: anyio.Event) -> None:
    async with client.stream("GET", f"/trainings/{name}/events", timeout=None) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
                begun.set()


async def test_of_two_trainings_in_an_app_one_is_cancelled_and_the_other_ends_well(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 48)
    database = tmp_path / "runs.db"
    app = load_app()
    events: dict[str, list[Any]] = {"a": [], "b": []}
    misspelt: list[Any] = []
    before = holdings()

    async with LoopbackProvider(brain=pupil(), latency_s=0.2) as provider:
        overrides = app.state.overrides = lesson_settings(
            provider.openai_base_url,
            agent__model="openai/loopback",
            tasks__path=str(problems),
            tasks__stratify=False,
            tasks__train=16,
            tasks__validation=16,
            training__patience=1,
            store__path=str(database),
        )[1::2]
        async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
            app.state.overrides = [*overrides, "tasks.category='nowhere'"]
            await stream(client, "misspelt", misspelt, anyio.Event())
            app.state.overrides = overrides
            async with anyio.create_task_group() as streams:
                for name, seen in events.items():
                    begun = anyio.Event()
                    streams.start_soon(stream, client, name, seen, begun)
                    await begun.wait()
                await until(lambda: provider.ledger.in_flight > 0)
                cancelled = await client.delete("/trainings/a")
            unknown = await client.delete("/trainings/nobody")
        await provider.ledger.idle()

    assert [event["status"] for event in misspelt] == ["failed"]
    assert "there is no such column" in misspelt[0]["message"]
    assert cancelled.json() == {"stopped": True}
    assert unknown.json() == {"stopped": False}
    kinds = {name: [event["event"] for event in seen] for name, seen in events.items()}
    assert kinds["a"][0] == kinds["b"][0] == "RunStarted"
    assert events["a"][-1].get("status") != "done"
    assert kinds["b"][-1] == "RunFinished"
    assert events["b"][-1]["status"] == "done"
    with RunReader(database) as reader:
        runs = {run.name: run for run in reader.runs()}
    assert (runs["a"].status, runs["b"].status) == ("interrupted", "done")
    assert runs["b"].after["test"].score > runs["b"].before["test"].score
    assert not await left_behind(before)


async def test_a_cancelled_training_is_gone_within_100_ms_of_the_loops_time(
    tmp_path: Path,
) -> None:
    config_file = write_lesson(tmp_path, train=16, test=200)
    async with LoopbackProvider(brain=pupil()) as provider:
        config = load_lesson(
            config_file,
            provider.openai_base_url,
            limits__in_flight=64,
            store__path=str(tmp_path / "runs.db"),
        )
        async with open_training(config, Opening(run_id="first")) as run:
            await run.wait()  # imports and caches are there after this one
        await provider.ledger.idle()
        provider.latency_s = 30.0
        before = holdings()
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            ended = anyio.Event()

            async def train() -> None:
                with scope:
                    async with open_training(config, Opening(run_id="second")) as run:
                        await run.wait()
                ended.set()

            group.start_soon(train)
            await until(lambda: provider.ledger.in_flight >= 16)
            worked_s, wall_s = time.thread_time(), time.perf_counter()
            scope.cancel()
            await ended.wait()
            worked_s, wall_s = time.thread_time() - worked_s, time.perf_counter() - wall_s

        assert worked_s < 0.1, f"the loop worked {worked_s:.3f} s ({wall_s:.3f} s passed)"
        assert not await left_behind(before)
    assert provider.ledger.outcomes()["client_gone"] >= 16
