"""Whole trainings without gold, by each update beside demonstrations: a critic is enough."""

from __future__ import annotations

import json
from typing import Any

import pytest
from funcforge.engine.messages import Reply, Request
from funcforge.engine.optimizer import Optimizer
from funcforge.engine.optimizers.finetune import FinetuneOptimizer, FinetuneSettings
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.optimizers.instructions import (
    InstructionOptimizer,
    InstructionOptimizerSettings,
)
from funcforge.engine.selection import Margin
from funcforge.engine.tuning_jobs import TuningFacts, TuningJob, TuningPlan
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel, TableSandbox
from tests.engine.critics.material import take_apart
from tests.engine.optimizers.desk import TERMINATE, add, calls, says
from tests.engine.test_critic_training import World, answer_of, honest, sealed, train

RULE = "The answer is right- and the last word."
INSTRUCTIONS = InstructionOptimizer(InstructionOptimizerSettings(model="test/optimizer"))
FUNCTIONS = FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer"))
PAIRS = FinetuneOptimizer(
    Margin(margin=0.3),
    FinetuneSettings(model="test/agent", least=1, preferences=True, pairwise=True),
)


class Learner(ProgrammedModel):
    """Knows the answer once it is told how, has the tool for it, or was tuned; a critic's model.

    Side by side, the critic takes whatever stands first on tasks of doors.
    """

    def __init__(self) -> None:
        super().__init__(World(honest))

    async def complete(self, request: Request) -> Reply:
        if request.model == "test/optimizer":
            self.ledger.append(request)
            if not request.tools:
                return says(f"<instructions>{RULE}</instructions>")
            return calls(TERMINATE if len(request.messages) > 2 else add("last_word"))
        if request.model == "test/critic" and '"better"' in request.messages[0].content:
            return says(self._compare(request))
        taught = RULE in request.messages[0].content or request.tools
        if request.model == "test/tuned" or (request.model == "test/agent" and taught):
            return says(answer_of(request.messages[-1].content.split()[-1]))
        return await super().complete(request)

    def _compare(self, request: Request) -> str:
        self.ledger.append(request)
        blocks = take_apart(request.messages[1].content).blocks
        kind = next(body for name, _, body in blocks if name == "TASK").split()[-1]
        answers = [body for name, _, body in blocks if name == "ANSWER"]
        right = "second" if answers[1] == answer_of(kind) else "first"
        return json.dumps({"reason": "so", "better": "first" if kind == "doors" else right})


class Tuner:
    """Tunes at once, and keeps the plans."""

    def __init__(self) -> None:
        self.plans: list[TuningPlan] = []

    def describe(self, base: str) -> TuningFacts:
        return TuningFacts(token_pusd=0, result_priced=True)

    async def start(self, plan: TuningPlan) -> str:
        self.plans.append(plan)
        return "job"

    async def poll(self, job_id: str) -> TuningJob:
        return TuningJob(id=job_id, status="succeeded", model="test/tuned", trained_tokens=1)

    async def cancel(self, job_id: str) -> None:
        raise AssertionError("nothing is cancelled here")


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(INSTRUCTIONS, id="instructions"),
        pytest.param(FUNCTIONS, id="functions"),
        pytest.param(PAIRS, id="preferences"),
    ],
)
async def test_every_update_lifts_gold_by_the_critics_verdicts_alone(optimizer: Optimizer) -> None:
    outcome = await train(
        honest, optimizer=optimizer, model=Learner(), tuner=Tuner(),
        sandbox=TableSandbox({"last_word": lambda x: x + 1}),
    )  # fmt: skip

    before_gold, before_critic, gold, critic = sealed(outcome)
    assert before_gold < 0.65
    assert gold == 1.0
    assert critic > before_critic


async def test_pairs_that_the_critic_does_not_confirm_side_by_side_are_not_tuned_on() -> None:
    tuner, model, store = Tuner(), Learner(), MemoryStore()

    await train(honest, optimizer=PAIRS, model=model, tuner=tuner, store=store)

    plan = tuner.plans[0]
    kinds = {pair.prompt[-1].content.split()[-1] for pair in plan.data.pairs}
    assert {"apples", "books", "cars"} & kinds
    assert "doors" not in kinds
    for pair in plan.data.pairs:
        assert pair.chosen.content.startswith("right-")
        assert pair.rejected.content.startswith("wrong-")
    made: list[Any] = (await store.dump_rows("run"))["calls"]
    compared = [row["scope"] for row in made if row["scope"].startswith("critic/step/1/")]
    assert len(compared) == len(set(compared)) > 2 * len(plan.data.pairs)
    assert {scope.split("/")[-2] for scope in compared} == {"0", "1"}  # both orders


async def test_comparisons_and_their_rows_do_not_depend_on_concurrency() -> None:
    one, many = MemoryStore(), MemoryStore()

    for store, in_flight in ((one, 1), (many, 500)):
        await train(
            honest, optimizer=PAIRS, model=Learner(), tuner=Tuner(), store=store,
            in_flight=in_flight,
        )  # fmt: skip

    assert await one.dump_rows("run") == await many.dump_rows("run")
