"""Which work of a worker's loop gets a thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest
from funcforge.adapters.executors.threads import QUICK_S, Threads
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.settings import ModelSettings
from funcforge.engine.messages import Message, Request

from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import text


class Noted(Threads):
    """Remembers what was done at once."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: list[bool] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done = super().submit(work, *args, **kwargs)
        self.at_once.append(done.done())
        return done


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    with Threads() as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        yield threads


async def thread_of(work: Callable[[], Any], model: str = "openai/one") -> str:
    """Have LiteLLM write a request by `work`; return the thread that did."""
    found: list[str] = []

    def completion(model: str) -> Any:
        found.append(threading.current_thread().name)
        return work()

    completion.__module__ = "litellm.main"
    run = contextvars.copy_context().run
    asked = partial(run, partial(completion, model=model))
    made = await asyncio.get_running_loop().run_in_executor(None, asked)
    if asyncio.iscoroutine(made):
        await made
    return "thread" if found[0].startswith("asyncio") else "loop"


async def answer() -> str:
    return "4"


async def test_a_request_is_written_at_once_after_a_quick_one(threads: Threads) -> None:
    assert await thread_of(answer) == "thread"
    assert await thread_of(answer) == "loop"
    assert await thread_of(answer, model="openai/other") == "thread"


async def test_what_only_a_thread_can_wait_for_keeps_its_threads(threads: Threads) -> None:
    assert [await thread_of(lambda: "4") for _ in range(3)] == ["thread"] * 3


async def test_after_a_slow_request_or_an_error_a_thread_tries_again(threads: Threads) -> None:
    def slow() -> Any:
        time.sleep(2 * QUICK_S)
        return answer()

    def broken() -> Any:
        raise ValueError("no such model")

    places = [await thread_of(work) for work in (answer, slow, answer, answer)]
    with pytest.raises(ValueError, match="no such model"):
        await thread_of(broken)
    places.append(await thread_of(answer))

    assert places == ["thread", "loop", "thread", "loop", "thread"]


async def test_other_work_has_threads(threads: Threads) -> None:
    name = await asyncio.to_thread(lambda: threading.current_thread().name)

    assert name.startswith("asyncio")


async def test_litellms_own_requests_are_known() -> None:
    with Noted() as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        async with LoopbackProvider(brain=lambda ask: text("4")) as provider:
            settings = ModelSettings(base_url=provider.openai_base_url)
            request = Request(
                model="openai/m", messages=(Message(role="user", content="2 + 2"),), max_tokens=9
            )
            async with LiteLLMModel(default=settings, fast=False) as model:
                for _ in range(20):  # the first imports; any may be slow on a busy machine
                    reply = await model.complete(request)
                    assert reply.message.content == "4"
                    if threads.at_once[-1]:
                        break

    assert threads.at_once[0] is False
    assert threads.at_once[-1] is True
