"""Noisy episodes under policies that look many times: the number in flight shows nowhere."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest
from funcforge.engine.acceptances import policy
from funcforge.engine.messages import Request
from funcforge.engine.parameters import AddFunction
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import Splits
from funcforge.engine.training_settings import TrainingSettings
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel, function, tasks
from tests.engine.runs import parts, training_run

A, B, C = (AddFunction(function=function(f"solve_{kind}")) for kind in "abc")
USELESS = AddFunction(function=function("useless"))
SCRIPT = [[USELESS], [A], [B], [C]]


def moody(order: int) -> ProgrammedModel:
    """A model that forgets what kind the task is in a third of the repeats, at its own pace."""

    async def answer(request: Request) -> str:
        content = request.messages[-1].content
        for _ in range(random.Random(f"{order}/{content}/{request.seed}").randrange(6)):
            await anyio.lowlevel.checkpoint()
        forgets = random.Random(f"{content}/{request.seed}").random() < 1 / 3
        return "?" if forgets else content

    return ProgrammedModel(answer)


async def train(climb: bool, in_flight: int, wave: int) -> tuple[list[Any], dict[str, list[Any]]]:
    store = MemoryStore()
    outcome = await training_run(
        Splits(train=tasks(12)),
        SCRIPT,
        parts=parts(
            store,
            model=moody(in_flight),
            in_flight=in_flight,
            agent_settings=AgentSettings(model="test/agent", python=False, seed=1),
        ),
        acceptance=policy("sequential", {"climb": climb, "gain": 0.3, "wave": wave}),
        settings=TrainingSettings(
            optimizer_model="test/optimizer", stopping=Stopping(steps=len(SCRIPT))
        ),
    ).wait()
    assert outcome.value is not None, outcome
    verdicts = outcome.value.progress.verdicts
    decided = [(one.outcome, one.promising, one.p_value, one.reason) for one in verdicts]
    return decided, await store.dump_rows("run")


@pytest.mark.parametrize("climb", [False, True])
async def test_no_number_in_flight_changes_a_row_and_no_wave_size_a_decision(climb: bool) -> None:
    decided, rows = await train(climb, in_flight=1, wave=16)

    for in_flight in (7, 128):
        others, other_rows = await train(climb, in_flight=in_flight, wave=16)
        assert others == decided
        assert other_rows == rows
    for wave in (3, 200):
        others, _ = await train(climb, in_flight=64, wave=wave)
        assert others == decided
    assert {outcome for outcome, *_ in decided} >= {"better", "not_better"}
