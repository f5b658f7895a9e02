"""Every optimizer keeps these promises. A new one adds one entry to `OPTIMIZERS`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import anyio
import pytest
from funcforge.engine.canonical import canonical_json
from funcforge.engine.errors import BudgetExhausted, SandboxError, TransientModelError
from funcforge.engine.functions import Function
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.optimizer import FailedAttempt, Optimizer, Proposal, Situation
from funcforge.engine.optimizers.craft import CraftOptimizer
from funcforge.engine.optimizers.demonstrations import DemonstrationOptimizer
from funcforge.engine.optimizers.finetune import FinetuneOptimizer, FinetuneSettings
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.optimizers.instructions import (
    InstructionOptimizer,
    InstructionOptimizerSettings,
)
from funcforge.engine.parameters import Parameters, apply
from funcforge.engine.selection import BestOfK

from tests.doubles import ScriptedOptimizer
from tests.engine.optimizers.desk import (
    TERMINATE,
    Desk,
    add,
    calls,
    episode,
    function,
    remove,
    revise,
    situation,
    source,
)


def _functions() -> Optimizer:
    return FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer"))


def _at_once() -> Optimizer:
    return FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer", progressive=False))


def _demonstrations() -> Optimizer:
    return DemonstrationOptimizer(BestOfK())


def _finetune() -> Optimizer:
    return FinetuneOptimizer(BestOfK(), FinetuneSettings(model="test/agent", least=1))


def _instructions() -> Optimizer:
    return InstructionOptimizer(InstructionOptimizerSettings(model="test/optimizer"))


def _craft() -> Optimizer:
    return CraftOptimizer(FunctionOptimizerSettings(model="test/optimizer"))


def _scripted() -> Optimizer:
    return ScriptedOptimizer([])


OPTIMIZERS = [
    pytest.param(_functions, id="functions"),
    pytest.param(_at_once, id="functions, all at once"),
    pytest.param(_demonstrations, id="demonstrations"),
    pytest.param(_finetune, id="finetune"),
    pytest.param(_instructions, id="instructions"),
    pytest.param(_craft, id="craft"),
    pytest.param(_scripted, id="the double of the tests"),
]
for_each = pytest.mark.parametrize("make", OPTIMIZERS)
that_asks = pytest.mark.parametrize(
    "make", [o for o in OPTIMIZERS if o.id not in ("demonstrations", "finetune")]
)
Make = Callable[[], Optimizer]

KNOWN = function("known")


def at() -> Situation:
    failed = FailedAttempt(parameters=Parameters(functions=(function("bad"),)), score=0.0, step=1)
    return situation(
        episode("t1"), episode("t2", 1.0), functions=[KNOWN], failures=(failed,), step=2
    )


def desk() -> Desk:
    changed = revise("known", source("known", "return x + 2"))
    script = [calls(add("one")), calls(changed, remove("absent")), calls(remove("one"))]
    return Desk(*script, calls(TERMINATE), calls(TERMINATE))


async def _propose(make: Make, workbench: Desk, where: Situation | None = None) -> Proposal:
    optimizer = make()
    return await optimizer.propose(optimizer.init(), where or at(), workbench)


@for_each
def test_a_first_state_is_json(make: Make) -> None:
    assert json.loads(canonical_json(make().init())) == make().init()


@for_each
async def test_the_next_state_is_json_and_goes_on_where_the_last_one_stopped(make: Make) -> None:
    optimizer = make()
    first = await optimizer.propose(optimizer.init(), at(), desk())
    restored = json.loads(canonical_json(first.state))

    went_on, resumed = desk(), desk()
    await optimizer.propose(first.state, at(), went_on)
    await make().propose(restored, at(), resumed)

    assert [request.hash for request in went_on.asked] == [r.hash for r in resumed.asked]


@for_each
async def test_equal_replies_lead_to_equal_proposals(make: Make) -> None:
    first, second = desk(), desk()

    assert await _propose(make, first) == await _propose(make, second)
    assert [request.hash for request in first.asked] == [r.hash for r in second.asked]
    assert first.events == second.events


@for_each
async def test_the_edits_apply_to_the_batchs_parameters(make: Make) -> None:
    proposal = await _propose(make, desk())

    apply(proposal.edits, at().batch.parameters)


@for_each
async def test_state_and_situation_are_left_as_they_were(make: Make) -> None:
    optimizer, where = make(), at()
    state = optimizer.init()
    before = copy.deepcopy((state, where))

    await optimizer.propose(state, where, desk())

    assert (state, where) == before


@for_each
async def test_a_batch_without_episodes_is_no_error(make: Make) -> None:
    await _propose(make, desk(), situation())


@that_asks
@pytest.mark.parametrize(
    "error",
    [
        TransientModelError("overloaded", kind="overloaded"),
        BudgetExhausted("no calls left", cap="calls", limit=1),
    ],
)
async def test_what_ends_the_run_passes_through(make: Make, error: Exception) -> None:
    with pytest.raises(type(error)):
        await _propose(make, Desk(error))


@pytest.mark.parametrize("make", OPTIMIZERS[:2])
async def test_a_failed_sandbox_passes_through_and_refuses_nothing(make: Make) -> None:
    class Broken(Desk):
        async def check(self, function: Function) -> None:
            raise SandboxError("gone")

    workbench = Broken(calls(add("one")))

    with pytest.raises(SandboxError):
        await _propose(make, workbench)

    assert workbench.edits == []


@that_asks
async def test_cancelling_ends_a_step_at_once(make: Make) -> None:
    class Hanging(Desk):
        async def complete(self, request: Request) -> Reply:
            asked.set()
            await anyio.sleep_forever()
            return Reply(message=Message(role="assistant"), finish="stop")

    async def propose() -> None:
        await _propose(make, Hanging())
        returned.append(True)

    asked = anyio.Event()
    returned: list[bool] = []
    async with anyio.create_task_group() as step:
        step.start_soon(propose)
        await asked.wait()
        step.cancel_scope.cancel()

    assert returned == []
