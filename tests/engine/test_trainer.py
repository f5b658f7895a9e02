from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import anyio
import pytest
from funcforge.engine.acceptances import policy
from funcforge.engine.errors import ModelConfigError
from funcforge.engine.events import (
    EpisodeFinished,
    EvaluationFinished,
    Event,
    SealedTestCompared,
    StepDecided,
)
from funcforge.engine.messages import Request
from funcforge.engine.optimizer import Proposal, Situation, State, Workbench
from funcforge.engine.parameters import AddFunction, RemoveFunction
from funcforge.engine.run import Outcome
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import Splits
from funcforge.engine.trainer import Trained
from funcforge.engine.training_settings import TrainingSettings
from funcforge.engine.usage import Usage

from tests.doubles import ProgrammedModel, ScriptedOptimizer, function, tasks
from tests.engine.runs import parts, training_run

A, B, C = (AddFunction(function=function(f"solve_{kind}")) for kind in "abc")
USELESS = AddFunction(function=function("useless"))
TRAIN_AND_TEST = Splits(train=tasks(12), test=tasks(30))


def settings(**changes: Any) -> TrainingSettings:
    return replace(TrainingSettings(optimizer_model="test/optimizer"), **changes)


async def train(script: Any, splits: Splits = TRAIN_AND_TEST, **changes: Any) -> Outcome[Trained]:
    store = changes.pop("store", None)
    outcome = await training_run(
        splits, script, parts=parts(store), settings=settings(**changes)
    ).wait()
    assert outcome.value is not None, outcome
    return outcome


class Recorder:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, event: Event) -> None:
        self.events.append(event)

    def decisions(self) -> list[tuple[int, str]]:
        return [(e.step, e.outcome) for e in self.events if isinstance(e, StepDecided)]


async def test_a_strict_improvement_is_accepted_and_everything_else_rolled_back() -> None:
    recorder = Recorder()
    run = training_run(
        TRAIN_AND_TEST,
        [[A], [USELESS], [B, C]],
        parts=parts(),
        settings=settings(stopping=Stopping(patience=1)),
        sinks=[recorder],
    )

    outcome = await run.wait()

    assert recorder.decisions() == [(1, "accepted"), (2, "rolled_back"), (3, "accepted")]
    assert outcome.stopped_by == "solved"
    assert outcome.value is not None
    assert [f.name for f in outcome.value.parameters.functions] == ["solve_a", "solve_b", "solve_c"]


async def test_a_tie_does_not_count_as_better() -> None:
    outcome = await train([[A], [USELESS]], stopping=Stopping(patience=0))

    assert outcome.stopped_by == "patience"
    assert [f.name for f in outcome.value.parameters.functions] == ["solve_a"]  # type: ignore[union-attr]


async def test_patience_c_stops_after_c_plus_one_proposals_in_a_row_were_rolled_back() -> None:
    outcome = await train([[USELESS]], stopping=Stopping(patience=2))

    assert outcome.value is not None
    assert outcome.value.progress.step == 3  # r > C


async def test_accepting_clears_the_failure_record_and_the_patience() -> None:
    optimizer = ScriptedOptimizer([[USELESS], [A], [], [B]])

    outcome = await train(optimizer, stopping=Stopping(patience=1, epochs=2))

    records = [[f.step for f in situation.failures] for situation in optimizer.seen]
    assert records == [[], [1], [], []]
    assert outcome.stopped_by == "epochs"


async def test_a_rolled_back_function_is_gone_and_a_removed_one_stays_away() -> None:
    agents_saw: list[set[str]] = []

    async def look(request: Any) -> str:
        return str(request.messages[-1].content)

    optimizer = ScriptedOptimizer([[A], [USELESS], [RemoveFunction(name="solve_a"), B, C]])
    run = training_run(
        TRAIN_AND_TEST,
        optimizer,
        parts=parts(model=ProgrammedModel(look)),
        settings=settings(stopping=Stopping(patience=0, steps=3)),
        sinks=[recorder := Recorder()],
    )
    await run.wait()

    del agents_saw
    by_step = {e.step: e.candidate for e in recorder.events if isinstance(e, StepDecided)}
    assert [f.name for f in by_step[2].functions] == ["solve_a", "useless"]
    assert [s.batch.parameters.function("useless") for s in optimizer.seen] == [None, None]


async def test_a_proposal_that_was_never_evaluated_is_never_returned() -> None:
    outcome = await train([[A], [B]], stopping=Stopping(epochs=1))

    assert outcome.value is not None
    assert [f.name for f in outcome.value.parameters.functions] == ["solve_a"]
    assert outcome.value.after.train is not None
    assert outcome.value.after.train.parameters_version == outcome.value.parameters.version


async def test_the_same_set_is_not_evaluated_twice() -> None:
    model = ProgrammedModel()
    run = training_run(
        TRAIN_AND_TEST,
        [[USELESS], [USELESS]],
        parts=parts(model=model),
        settings=settings(stopping=Stopping(steps=2)),
    )

    outcome = await run.wait()

    assert outcome.status == "done"
    agent_calls = [r for r in model.ledger if r.model == "test/agent"]
    assert len(agent_calls) == 12 + 30 + 12  # before: train and test; step 1: train; no more


async def test_the_test_split_is_scored_once_before_and_once_after_and_never_shown() -> None:
    optimizer = ScriptedOptimizer([[A], [B]])
    run = training_run(
        Splits(train=tasks(12), test=tasks(30)),
        optimizer,
        parts=parts(),
        settings=settings(stopping=Stopping(patience=0)),
        sinks=[recorder := Recorder()],
    )

    await run.wait()

    evaluations = [
        e.episode.job.evaluation for e in recorder.events if isinstance(e, EpisodeFinished)
    ]
    assert evaluations.count("test/before") == evaluations.count("test/after") == 30
    shown = {i for s in optimizer.seen for i in s.batch.tasks}
    assert shown == {task.id for task in tasks(12)}


async def test_the_sealed_test_is_compared_once_paired_before_and_after() -> None:
    run = training_run(
        Splits(train=tasks(12), test=tasks(30)),
        [[A], [B]],
        parts=parts(),
        settings=settings(stopping=Stopping(patience=0)),
        sinks=[recorder := Recorder()],
    )

    outcome = await run.wait()

    (compared,) = [e for e in recorder.events if isinstance(e, SealedTestCompared)]
    assert outcome.value is not None
    assert outcome.value.sealed_test == replace(compared, run_id="", at_unix_s=0.0)
    # 20 of the 30 tasks are of the two kinds learned; none is lost: 2 * (1/2)^20, two-sided
    assert (compared.tasks, compared.dropped, compared.won, compared.lost) == (30, 0, 20, 0)
    assert compared.effect == pytest.approx(2 / 3)
    assert compared.p_value == pytest.approx(2 * 0.5**20)
    assert 0 < compared.low < compared.effect < compared.high <= 1


class Waiting(ScriptedOptimizer):
    """Proposes in the step `at` only when a whole sealed test has been seen on the bus."""

    def __init__(self, script: Any, *, at: int) -> None:
        super().__init__(script)
        self._at = at
        self._tested = anyio.Event()

    async def handle(self, event: Event) -> None:
        if isinstance(event, EvaluationFinished) and event.evaluation == "test/after":
            self._tested.set()

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        if situation.step == self._at:
            with anyio.fail_after(10):
                await self._tested.wait()
        return await super().propose(state, situation, workbench)


async def test_the_sealed_test_runs_beside_the_step_that_ends_the_training() -> None:
    script = [[A], [USELESS], [B], [USELESS], []]
    stopping = Stopping(patience=1)
    optimizer = Waiting(script, at=3)
    run = training_run(
        TRAIN_AND_TEST,
        optimizer,
        parts=parts(),
        settings=settings(stopping=stopping, test_beside=True),
        sinks=[optimizer, recorder := Recorder()],
    )

    outcome = await run.wait()

    assert outcome.value is not None, outcome
    behind = await train(script, stopping=stopping)
    assert behind.value is not None
    assert outcome.value.progress.verdicts == behind.value.progress.verdicts
    assert outcome.value.parameters == behind.value.parameters
    assert outcome.stopped_by == behind.stopped_by == "patience"
    # step 3 might have been the last one too; it was accepted
    evaluations = Counter(
        e.episode.job.evaluation for e in recorder.events if isinstance(e, EpisodeFinished)
    )
    tests = {name: count for name, count in evaluations.items() if name.startswith("test/")}
    assert tests == {"test/before": 30, "test/after": 30, "test/after.2": 30}
    assert outcome.value.after.test is not None
    assert behind.value.after.test is not None
    assert outcome.value.after.test.evaluation == "test/after.2"
    assert outcome.value.after.test.score == behind.value.after.test.score == 2 / 3
    assert outcome.value.sealed_test == behind.value.sealed_test


async def test_a_sealed_test_that_was_not_in_vain_is_not_paid_for_again() -> None:
    script = [[A], [], [USELESS]]
    stopping = Stopping(patience=1)

    beside = await train(script, stopping=stopping, test_beside=True)

    behind = await train(script, stopping=stopping)
    assert beside.usage == behind.usage
    assert replace(beside.value.progress, summaries={}) == replace(  # type: ignore[union-attr]
        behind.value.progress,
        summaries={},  # type: ignore[union-attr]
    )


async def test_a_step_that_fails_stops_the_sealed_test_beside_it() -> None:
    model = ProgrammedModel(refuse_the_third_proposal)
    run = training_run(
        Splits(train=tasks(12), test=tasks(3_000)),
        [[A], [USELESS]],
        parts=parts(model=model, in_flight=1),
        settings=settings(stopping=Stopping(patience=1), test_beside=True),
        sinks=[recorder := Recorder()],
    )

    outcome = await run.wait()

    assert outcome.status == "failed"
    assert "no more proposals" in outcome.message
    tested = [
        e
        for e in recorder.events
        if isinstance(e, EpisodeFinished) and e.episode.job.evaluation == "test/after"
    ]
    assert len(tested) < 3_000


async def refuse_the_third_proposal(request: Request) -> str:
    text = request.messages[-1].content
    if text == "propose 2":
        raise ModelConfigError("no more proposals", kind="unsupported", model=request.model)
    return text


async def test_without_an_acceptance_there_is_no_sealed_comparison() -> None:
    outcome = await train([[USELESS]], stopping=Stopping(patience=0))

    assert outcome.value is not None
    assert outcome.value.sealed_test is None


async def test_a_decision_says_what_it_cost_and_how_sure_both_scores_are() -> None:
    run = training_run(
        Splits(train=tasks(12)),
        [[A]],
        parts=parts(),
        settings=settings(stopping=Stopping(epochs=1)),
        acceptance=policy("paper", {"incumbent": "rescored"}),
        sinks=[recorder := Recorder()],
    )

    await run.wait()

    (decided,) = [e for e in recorder.events if isinstance(e, StepDecided)]
    used = [
        e.episode.usage
        for e in recorder.events
        if isinstance(e, EpisodeFinished) and e.episode.job.evaluation.startswith("train/1")
    ]
    assert len(used) == decided.episodes == 24
    assert decided.usage == sum(used, Usage())
    assert decided.usage.calls >= 24
    assert (decided.incumbent_low, decided.incumbent_high) == pytest.approx((0, 0.2425), abs=1e-4)
    assert decided.score_low is not None
    assert decided.score_high is not None
    assert decided.score_low < 1 / 3 < decided.score_high


@pytest.mark.parametrize(
    ("feedback", "target", "comments"),
    [("score", None, False), ("comment", None, True), ("target", "a", True)],
)
async def test_feedback_says_what_the_optimizer_may_read_of_a_target(
    feedback: str, target: str | None, comments: bool
) -> None:
    optimizer = ScriptedOptimizer([])

    await train(optimizer, feedback=feedback, stopping=Stopping(patience=0))

    batch = optimizer.seen[0].batch
    assert batch.tasks["t000"].target == target
    assert batch.comments is comments


async def test_a_sampled_batch_scores_incumbent_and_candidate_on_the_same_tasks() -> None:
    run = training_run(
        Splits(train=tasks(40)),
        [[A], [B]],
        parts=parts(),
        settings=settings(batch_size=8, stopping=Stopping(steps=2)),
        sinks=[recorder := Recorder()],
    )

    await run.wait()

    seen: dict[str, set[str]] = {}
    for event in recorder.events:
        if isinstance(event, EpisodeFinished):
            job = event.episode.job
            seen.setdefault(job.evaluation, set()).add(job.task_id)
    assert seen["train/1"] == seen["train/1/history"]
    assert len(seen["train/1"]) == 8


async def test_acceptance_on_validation_decides_by_validation_tasks() -> None:
    run = training_run(
        Splits(train=tasks(6, kinds="a"), validation=tasks(9, kinds="b")),
        [[A], [B]],
        parts=parts(),
        settings=settings(accept_on="validation", stopping=Stopping(patience=0, steps=2)),
        sinks=[recorder := Recorder()],
    )

    outcome = await run.wait()

    assert recorder.decisions() == [(1, "rolled_back")]
    assert outcome.value is not None
    assert outcome.value.parameters.functions == ()


async def test_without_roll_back_every_proposal_becomes_the_incumbent() -> None:
    outcome = await train(
        [[USELESS], [A]], roll_back=False, stopping=Stopping(patience=None, steps=2)
    )

    assert outcome.value is not None
    assert [f.name for f in outcome.value.parameters.functions] == ["solve_a", "useless"]
