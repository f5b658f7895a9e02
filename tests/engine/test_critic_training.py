"""Whole trainings that learn demonstrations from a critic: the loop is the same as with gold."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.critics.model import CriticSettings, ModelCritic
from funcforge.engine.events import CriticDoubted, Event
from funcforge.engine.messages import Request
from funcforge.engine.optimizer import Optimizer
from funcforge.engine.optimizers.demonstrations import DemonstrationOptimizer
from funcforge.engine.ports import ModelFacts, Tuner
from funcforge.engine.run import Outcome
from funcforge.engine.selection import BestOfK
from funcforge.engine.signal import SignalScorer
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import ListTaskSet, Splits, Task
from funcforge.engine.trainer import Trained
from funcforge.engine.training_settings import TrainingSettings
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel, TableSandbox, exact
from tests.engine.critics.material import take_apart, verdict
from tests.engine.runs import parts, training_run

KINDS = ("apples", "books", "cars", "doors")


def answer_of(kind: str) -> str:
    return f"right-{kind}"


class World:
    """An agent's model that copies what it is shown and else often guesses wrong; a critic's.

    Args:
        critic: Maps (whether the answer is right, chance in [0, 1)) to a mark.
    """

    def __init__(self, critic: Any) -> None:
        self._critic = critic

    async def __call__(self, request: Request) -> str:
        if request.model == "test/critic":
            blocks = {
                kind: body for kind, _, body in take_apart(request.messages[1].content).blocks
            }
            kind = blocks["TASK"].split()[-1]
            right = blocks["ANSWER"] == answer_of(kind)
            return verdict(self._critic(right, _chance(request)))
        kind = request.messages[-1].content.split()[-1]
        shown = [
            then.content
            for asked, then in zip(request.messages, request.messages[1:], strict=False)
            if asked.role == "user" and asked.content.split()[-1] == kind
        ]
        if shown:
            return shown[-1]
        return answer_of(kind) if _chance(request) < 0.4 else f"wrong-{kind}"


def _chance(request: Request) -> float:
    """Draw from question and seed alone: no wording of a prompt changes anybody's luck."""
    drawn = json.dumps([request.model, request.messages[-1].content, request.seed])
    digest = hashlib.sha256(drawn.encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def honest(right: bool, chance: float) -> float:
    return 9 if right != (chance < 0.1) else 2


def adversarial(right: bool, chance: float) -> float:
    return 2 if right else 9


def tasks(name: str, count: int) -> ListTaskSet:
    return ListTaskSet(
        [
            Task(
                id=f"{name}{n}",
                prompt=f"{name} {n} of {KINDS[n % 4]}",
                target=answer_of(KINDS[n % 4]),
            )
            for n in range(count)
        ]
    )


class _Desk:
    run: Any = None

    def scope(self, name: str, *, repeat: int = 0) -> Any:
        return self.run.calls.scope(name, repeat=repeat)

    def facts(self, model: str) -> ModelFacts:
        return self.run.calls.facts(model)


class _Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, event: Event) -> None:
        self.events.append(event)


async def train(
    critic: Any,
    *,
    optimizer: Optimizer | None = None,
    model: ProgrammedModel | None = None,
    tuner: Tuner | None = None,
    sandbox: TableSandbox | None = None,
    store: MemoryStore | None = None,
    in_flight: int = 64,
    heard: _Heard | None = None,
    accept_by: Any = "signal",
    stop_after: int | None = None,
    **run: Any,
) -> Outcome[Trained]:
    desk = _Desk()
    settings = TrainingSettings(
        optimizer_model="test/optimizer",
        accept_on="validation",
        samples=4,
        stopping=Stopping(patience=2, epochs=4),
    )
    judge = ModelCritic(CriticSettings(model="test/critic", votes=3, seed=0), desk)
    used = parts(
        store or MemoryStore(),
        model=model or ProgrammedModel(World(critic)),
        tuner=tuner,
        sandbox=sandbox or TableSandbox(),
        critic=judge,
        agent=ToolCallingAgent(DialogueSettings(answer="whole")),
        agent_settings=AgentSettings(model="test/agent", python=False, temperature=1.0, seed=0),
        scorer=SignalScorer(gold=exact, critic=judge, accept_by=accept_by),
        in_flight=in_flight,
    )
    if stop_after is not None:
        used = replace(used, caps=replace(used.caps, calls=stop_after))
    making = training_run(
        Splits(train=tasks("train", 8), validation=tasks("held", 24), test=tasks("test", 24)),
        optimizer or DemonstrationOptimizer(BestOfK(minimum=0.5), per_step=2),
        parts=used,
        settings=settings,
        sinks=(heard,) if heard else (),
        **run,
    )
    desk.run = making
    async with making:
        return await making.wait()


def sealed(outcome: Outcome[Trained]) -> tuple[float, float, float, float]:
    assert outcome.value is not None, outcome.message
    before, after = outcome.value.before.test, outcome.value.after.test
    assert before is not None
    assert after is not None
    found = (before.gold, before.critic, after.gold, after.critic)
    assert all(found)
    return tuple(one.score for one in found if one)  # type: ignore[return-value]


async def test_demonstrations_chosen_by_a_critic_lift_the_gold_score_on_unseen_tasks() -> None:
    outcome = await train(honest)

    before_gold, before_critic, gold, critic = sealed(outcome)
    assert before_gold < 0.65
    assert gold > 0.9
    assert critic > before_critic
    assert outcome.value is not None
    assert outcome.value.parameters.demonstrations


async def test_an_adversarial_critic_rises_while_gold_falls() -> None:
    before_gold, before_critic, gold, critic = sealed(await train(adversarial))

    assert gold < before_gold - 0.2
    assert critic > before_critic + 0.2


async def test_gold_on_held_out_tasks_keeps_an_adversarial_critic_out() -> None:
    outcome = await train(adversarial, accept_by="gold")

    assert outcome.value is not None
    assert outcome.value.parameters.demonstrations == ()


async def test_a_critic_that_always_says_yes_is_reported() -> None:
    heard = _Heard()

    outcome = await train(lambda right, chance: 10, heard=heard)

    assert outcome.status == "done"
    doubted = [event for event in heard.events if isinstance(event, CriticDoubted)]
    assert {event.evaluation for event in doubted} >= {"train/0", "validation/0", "test/before"}
    assert all(event.lowest == event.highest == 1.0 for event in doubted)


async def test_the_rows_do_not_depend_on_how_many_episodes_are_in_flight() -> None:
    one, many = MemoryStore(), MemoryStore()

    await train(honest, store=one, in_flight=1)
    await train(honest, store=many, in_flight=500)

    assert await one.dump_rows("run") == await many.dump_rows("run")


@pytest.mark.parametrize("stop_after", [100, 450])
async def test_a_training_stopped_by_the_shared_budget_goes_on_to_the_same_end(
    stop_after: int,
) -> None:
    whole, stopped = MemoryStore(), MemoryStore()
    expected = await train(honest, store=whole)

    first = await train(honest, store=stopped, stop_after=stop_after)
    second = await train(honest, store=stopped, resumed=True)

    assert (first.status, first.stopped_by) == ("paused", "budget")
    assert first.usage.calls == stop_after
    assert second.status == "done"
    assert second.value == expected.value
    assert second.usage == expected.usage


async def test_the_optimizer_sees_every_sample_and_no_gold_score() -> None:
    seen: list[Any] = []

    class Watching(DemonstrationOptimizer):
        async def propose(self, state: Any, situation: Any, workbench: Any) -> Any:
            seen.append(situation.batch)
            return await super().propose(state, situation, workbench)

    store = MemoryStore()
    desk = _Desk()
    judge = ModelCritic(CriticSettings(model="test/critic"), desk)
    making = training_run(
        Splits(train=tasks("train", 5), validation=tasks("held", 8)),
        Watching(BestOfK(), per_step=2),
        parts=parts(
            store,
            model=ProgrammedModel(World(honest)),
            agent=ToolCallingAgent(DialogueSettings(answer="whole")),
            agent_settings=AgentSettings(model="test/agent", python=False, seed=7),
            scorer=SignalScorer(gold=exact, critic=judge),
        ),
        settings=TrainingSettings(
            optimizer_model="test/optimizer", accept_on="validation", samples=3,
            stopping=Stopping(steps=3),
        ),
    )  # fmt: skip
    desk.run = making
    async with making:
        await making.wait()

    assert [len(batch.episodes) for batch in seen] == [15] * len(seen)
    assert {episode.score.by for batch in seen for episode in batch.episodes} == {"critic"}
    assert {episode.score.gold for batch in seen for episode in batch.episodes} == {None}
    assert {task.target for batch in seen for task in batch.tasks.values()} == {None}
    golds = [row["gold_score"] for row in (await store.dump_rows("run"))["episodes"]]
    assert set(golds) == {0.0, 1.0}
    assert re.fullmatch(r"[0-9a-f]+", seen[0].parameters.version)
