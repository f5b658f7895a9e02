"""How the trainer goes on from a promising version, and what becomes of it in the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from funcforge.engine.acceptance import Evidence, Verdict, Wave
from funcforge.engine.events import Event, StepDecided
from funcforge.engine.parameters import AddFunction
from funcforge.engine.run import Outcome
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import Splits
from funcforge.engine.trainer import Trained
from funcforge.engine.training_settings import TrainingSettings
from funcforge.storage.memory import MemoryStore

from tests.doubles import ScriptedOptimizer, function, tasks
from tests.engine.runs import parts, training_run

A, B, C = (AddFunction(function=function(f"solve_{kind}")) for kind in "abc")
USELESS = AddFunction(function=function("useless"))


@dataclass
class Scripted:
    """A policy that runs every task once and then says what it is told to."""

    says: list[str]  # per judged step: better, promising, not_better
    seen: list[Evidence] = field(default_factory=list)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        old = {t: len(evidence.head.get(t, ())) for t in evidence.tasks} if evidence.confirm else {}
        asked = tuple(
            (task, old.get(task, 0))
            for task in evidence.tasks
            if len(evidence.candidate.get(task, ())) <= old.get(task, 0)
        )
        if asked:
            return Wave(candidate=asked)
        self.seen.append(evidence)
        word = self.says[len(self.seen) - 1]
        return Verdict(
            outcome="not_enough_evidence" if word == "promising" else word,  # type: ignore[arg-type]
            promising=word == "promising",
            reason=word,
            incumbent_score=0.0,
            candidate_score=0.1,
            low=0.0,
            high=0.2,
            episodes=len(asked),
        )


class Decisions:
    """A sink that keeps the decisions."""

    def __init__(self) -> None:
        self.found: list[StepDecided] = []

    async def handle(self, event: Event) -> None:
        if isinstance(event, StepDecided):
            self.found.append(event)


async def train(
    says: list[str], script: Any, **changes: Any
) -> tuple[Outcome[Trained], Scripted, Decisions]:
    policy, decisions = Scripted(says), Decisions()
    usual = {"stopping": Stopping(steps=len(script)), "optimizer_model": "test/optimizer"}
    outcome = await training_run(
        Splits(train=tasks(12), test=tasks(9)),
        changes.pop("optimizer", script),
        parts=parts(changes.pop("store", None)),
        acceptance=policy,
        settings=TrainingSettings(**{**usual, **changes}),
        sinks=[decisions],
    ).wait()
    return outcome, policy, decisions


def names(outcome: Outcome[Trained]) -> list[str]:
    assert outcome.value is not None, outcome
    return [one.name for one in outcome.value.parameters.functions]


async def test_proposals_build_on_a_promising_version_until_one_is_accepted() -> None:
    optimizer = ScriptedOptimizer([[A], [USELESS], [B]])

    outcome, policy, decisions = await train(
        ["promising", "not_better", "better"], [[A], [USELESS], [B]], optimizer=optimizer
    )

    assert [one.outcome for one in decisions.found] == ["promising", "rolled_back", "accepted"]
    built_on = [[f.name for f in s.batch.parameters.functions] for s in optimizer.seen]
    assert built_on == [[], ["solve_a"], ["solve_a"]]
    assert names(outcome) == ["solve_a", "solve_b"]
    # a roll-back is told against what was built on, an acceptance against the version in use
    start, head = decisions.found[0].incumbent_version, decisions.found[0].candidate.version
    assert [one.incumbent_version for one in decisions.found] == [start, head, start]
    assert [bool(one.head) for one in policy.seen] == [False, True, True]
    assert all(one.incumbent == policy.seen[0].incumbent for one in policy.seen)


@pytest.mark.parametrize(
    ("said", "left"), [("better", ["solve_a"]), ("not_better", []), ("not_enough_evidence", [])]
)
async def test_a_promising_version_left_at_the_end_is_confirmed_or_dropped(
    said: str, left: list[str]
) -> None:
    outcome, policy, decisions = await train(["promising", said], [[A]])

    assert names(outcome) == left
    assert [one.step for one in decisions.found] == [1, 2]
    assert outcome.stopped_by == "steps"
    assert policy.seen[1].confirm
    assert all(len(scores) == 2 for scores in policy.seen[1].candidate.values())


@pytest.mark.parametrize("proven", [False, True])
async def test_patience_ends_with_a_proof_and_goes_on_where_it_stands(proven: bool) -> None:
    last = ["better", "not_better", "not_better"] if proven else ["not_better"]
    outcome, policy, decisions = await train(
        ["not_better", "promising", "not_better", *last],
        [[USELESS], [A], [B], [C], [USELESS]],
        stopping=Stopping(epochs=2, patience=1),
    )

    assert outcome.stopped_by == "patience"
    told = {"better": "accepted", "not_better": "rolled_back"}
    assert [one.outcome for one in decisions.found] == [
        "rolled_back", "promising", "rolled_back", *(told[word] for word in last),
    ]  # fmt: skip
    assert [one.confirm for one in policy.seen].index(True) == 3
    assert names(outcome) == (["solve_a"] if proven else [])


async def test_a_resumed_training_still_builds_on_the_promising_version() -> None:
    store = MemoryStore()
    whole, _, _ = await train(["promising", "not_better", "better"], [[A], [USELESS], [B]])

    first, policy = Decisions(), Scripted(["promising", "not_better", "better"])
    run = training_run(
        Splits(train=tasks(12), test=tasks(9)),
        [[A], [USELESS], [B]],
        parts=parts(store),
        acceptance=policy,
        settings=TrainingSettings(optimizer_model="test/optimizer", stopping=Stopping(steps=3)),
        sinks=[_StopAfter(1, lambda: run.stop()), first],
    )
    stopped = await run.wait()
    resumed = training_run(
        Splits(train=tasks(12), test=tasks(9)),
        [[A], [USELESS], [B]],
        parts=parts(store),
        acceptance=policy,
        settings=TrainingSettings(optimizer_model="test/optimizer", stopping=Stopping(steps=3)),
        resumed=True,
    )
    outcome = await resumed.wait()

    assert stopped.status == "interrupted"
    assert names(outcome) == names(whole)
    assert outcome.value is not None
    assert whole.value is not None
    assert replace(outcome.value.progress, summaries={}) == replace(
        whole.value.progress, summaries={}
    )


class _StopAfter:
    """Stops the run when a step is decided."""

    def __init__(self, step: int, stop: Any) -> None:
        self.step, self.stop = step, stop

    async def handle(self, event: Event) -> None:
        if isinstance(event, StepDecided) and event.step == self.step:
            self.stop()
