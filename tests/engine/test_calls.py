from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from funcforge.engine.budget import Budget, Caps
from funcforge.engine.calls import ModelCalls, Retry
from funcforge.engine.errors import (
    BudgetExhausted,
    ModelConfigError,
    ModelError,
    RequestRefused,
    TransientModelError,
)
from funcforge.engine.events import Event
from funcforge.engine.limiter import LOOK_S, Limiter, RateLimits
from funcforge.engine.messages import Message, Reply, Request
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel
from tests.simulation.loop import VirtualClock, VirtualLoop


def request(text: str) -> Request:
    return Request(model="test/agent", messages=(Message(role="user", content=text),))


async def _unheard(event: Event) -> None:
    pass


def model_calls(model: Any, **changes: Any) -> ModelCalls:
    usual: dict[str, Any] = {
        "run_id": "run",
        "budget": Budget(Caps()),
        "limiter": Limiter(),
        "publish": _unheard,
        "retry": Retry(attempts=2),
    }
    return ModelCalls(model, MemoryStore(), **{**usual, **changes})


class Refusing(ProgrammedModel):
    """Refuses what it is told to refuse."""

    async def complete(self, request: Request) -> Reply:
        match request.messages[-1].content:
            case "bad":
                raise RequestRefused("odd request", kind="bad_request", model=request.model)
            case "locked":
                raise ModelConfigError("no such key", kind="auth", model=request.model)
        return await super().complete(request)


async def ask_each(calls: ModelCalls, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        with anyio.CancelScope():
            try:
                await calls.scope(f"episode {number}").complete(request(text))
            except ModelError:
                continue


async def test_odd_requests_among_answered_ones_do_not_end_the_run() -> None:
    calls = model_calls(Refusing())

    await ask_each(calls, ["bad", "good"] * 10)

    assert calls.circuit.error is None


@pytest.mark.parametrize("texts", [["good"] * 3 + ["bad"] * 3, ["locked", "good"] * 3])
async def test_the_same_fatal_error_from_three_episodes_ends_the_run(texts: list[str]) -> None:
    calls = model_calls(Refusing())

    await ask_each(calls, texts)

    assert calls.circuit.error is not None


def test_calls_that_wait_for_the_rate_end_at_once_when_the_budget_is_used_up() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        clock = VirtualClock(loop)
        model = ProgrammedModel()
        refused = 0

        async def scenario() -> None:
            nonlocal refused
            calls = model_calls(
                model,
                budget=Budget(Caps(calls=3), clock=clock),
                limiter=Limiter(RateLimits(requests_per_minute=1), clock=clock),
                clock=clock,
            )

            async def ask(number: int) -> None:
                nonlocal refused
                try:
                    await calls.scope(str(number)).complete(request("hello"))
                except BudgetExhausted:
                    refused += 1

            async with anyio.create_task_group() as group:
                for number in range(50):
                    group.start_soon(ask, number)

        runner.run(scenario())

        assert len(model.ledger) == 3
        assert refused == 47
        assert clock.monotonic_s() <= 4 * 60  # the fourth learns it when its minute comes


class Busy(ProgrammedModel):
    """Asks everybody to come back tomorrow."""

    async def complete(self, request: Request) -> Reply:
        raise TransientModelError(
            "come back tomorrow", kind="rate_limit", model=request.model, retry_after_s=86_400.0
        )


def test_no_wait_for_a_provider_outlasts_the_wall_clock_of_the_budget() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        clock = VirtualClock(loop)
        ended_s: list[float] = []

        async def scenario() -> None:
            calls = model_calls(
                Busy(),
                budget=Budget(Caps(seconds=60), clock=clock),
                limiter=Limiter(clock=clock),
                clock=clock,
            )

            async def ask(number: int) -> None:
                await anyio.sleep(number)  # the first waits for itself, the others for the account
                with pytest.raises(BudgetExhausted, match="seconds"):
                    await calls.scope(str(number)).complete(request("hello"))
                ended_s.append(clock.monotonic_s())

            async with anyio.create_task_group() as group:
                for number in range(5):
                    group.start_soon(ask, number)

        runner.run(scenario())

        assert len(ended_s) == 5
        assert max(ended_s) <= 60 + LOOK_S
