from __future__ import annotations

import anyio
import pytest
from funcforge.engine.budget import Budget, Caps
from funcforge.engine.errors import BudgetExhausted
from funcforge.engine.usage import Usage

WORST = Usage(calls=1, prompt_tokens=80, completion_tokens=20, cost_pusd=10**12)
USED = Usage(calls=1, prompt_tokens=40, completion_tokens=10, cost_pusd=5 * 10**11)


@pytest.mark.parametrize(
    ("caps", "cap"),
    [
        (Caps(calls=3), "calls"),
        (Caps(tokens=250), "tokens"),
        (Caps(cost_usd=2.5), "cost_usd"),
    ],
)
async def test_no_attempt_is_let_through_that_could_break_a_cap(caps: Caps, cap: str) -> None:
    budget = Budget(caps)

    with pytest.raises(BudgetExhausted) as caught:
        while True:
            async with budget.reserve(WORST) as reservation:
                reservation.settle(USED)

    assert caught.value.cap == cap
    assert budget.spent.calls <= 4
    assert budget.spent.tokens + WORST.tokens > 250 or cap != "tokens"


async def test_an_attempt_waits_for_room_that_others_may_give_back() -> None:
    budget = Budget(Caps(tokens=150))
    order: list[str] = []
    release = anyio.Event()

    async def first() -> None:
        async with budget.reserve(WORST) as reservation:
            await release.wait()
            order.append("first settles 50 of 100")
            reservation.settle(USED)

    async def second() -> None:
        async with budget.reserve(WORST) as reservation:
            order.append("second fits")
            reservation.settle(USED)

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        release.set()

    assert order == ["first settles 50 of 100", "second fits"]
    assert budget.spent.tokens == 100
    assert budget.reserved == Usage()


async def test_what_was_not_settled_counts_as_the_worst_case() -> None:
    budget = Budget(Caps(tokens=1000))

    with pytest.raises(ConnectionError):
        async with budget.reserve(WORST):
            raise ConnectionError

    assert budget.spent == WORST


async def test_waiting_attempts_are_told_when_the_budget_is_exhausted() -> None:
    budget = Budget(Caps(calls=1))
    refused: list[str] = []

    async def attempt(hold: anyio.Event) -> None:
        try:
            async with budget.reserve(WORST) as reservation:
                await hold.wait()
                reservation.settle(USED)
        except BudgetExhausted as error:
            refused.append(error.cap)

    hold = anyio.Event()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(attempt, hold)
        await anyio.wait_all_tasks_blocked()
        hold.set()

    assert refused == ["calls"] * 4
    assert budget.spent.calls == 1


async def test_spend_and_time_before_a_resume_count() -> None:
    budget = Budget(Caps(calls=10), spent=Usage(calls=10), seconds=7.0)

    with pytest.raises(BudgetExhausted, match=r"budget\.calls"):
        async with budget.reserve(WORST):
            pass
    assert budget.seconds >= 7.0


async def test_the_wall_clock_is_a_cap_too() -> None:
    budget = Budget(Caps(seconds=5.0), seconds=6.0)

    with pytest.raises(BudgetExhausted) as caught:
        async with budget.reserve(WORST):
            pass
    assert caught.value.cap == "seconds"
