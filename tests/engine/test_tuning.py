"""Fine-tuning within a run: the budget, the journal, patience. The tuner is a fake with jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from funcforge.engine.budget import Budget, Caps
from funcforge.engine.calls import ModelCalls
from funcforge.engine.errors import (
    BudgetExhausted,
    ConfigError,
    Interrupted,
    ReplayDiffers,
    TransientModelError,
    TuningFailed,
)
from funcforge.engine.events import Event, TuningProgressed
from funcforge.engine.limiter import Limiter
from funcforge.engine.messages import Message
from funcforge.engine.tuning import Tuning, TuningPatience
from funcforge.engine.tuning_jobs import TuningFacts, TuningJob, TuningPlan
from funcforge.engine.tuning_sets import TuningExample, TuningSet
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel

EXAMPLE = TuningExample(
    task_id="a",
    tools=(),
    prompt=(Message(role="user", content="question"),),
    completion=(Message(role="assistant", content="answer"),),
)
PLAN = TuningPlan(base="test/base", data=TuningSet(examples=(EXAMPLE,)), epochs=2, seed=0)
QUICK = TuningPatience(wait_s=60.0, first_poll_s=0.001, poll_s=0.001, failures=3)


@dataclass
class FakeTuner:
    """Keeps jobs as a provider does: they outlive whoever polls them."""

    polls: list[Any] = field(default_factory=lambda: ["running", "succeeded"])  # statuses, errors
    token_pusd: int | None = 1_000
    tokens: int | None = 50
    jobs: dict[str, str] = field(default_factory=dict)  # name -> id
    cancelled: list[str] = field(default_factory=list)
    refuse: TuningFailed | None = None

    def describe(self, base: str) -> TuningFacts:
        return TuningFacts(token_pusd=self.token_pusd, result_priced=True)

    async def start(self, plan: TuningPlan) -> str:
        if self.refuse is not None:
            raise self.refuse
        return self.jobs.setdefault(plan.name, f"job-{len(self.jobs)}")

    async def poll(self, job_id: str) -> TuningJob:
        told = self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]
        if isinstance(told, Exception):
            raise told
        done = told == "succeeded"
        return TuningJob(
            id=job_id,
            status=told,
            model=f"test/tuned-{job_id}" if done else None,
            message="diverged" if told == "failed" else "",
            trained_tokens=self.tokens if done else None,
        )

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)


class Run:
    """One run's books, which outlive its processes."""

    def __init__(self, tuner: FakeTuner) -> None:
        self.tuner = tuner
        self.store = MemoryStore()
        self.events: list[Event] = []

    async def process(
        self,
        *,
        resumed: bool = False,
        caps: Caps | None = None,
        offline: bool = False,
        check: Any = lambda: None,
        patience: TuningPatience = QUICK,
    ) -> str:
        """Tune, in a process of its own."""

        async def hear(event: Event) -> None:
            self.events.append(event)

        spent = await self.store.used("run") + await self.store.lost("run")
        self.budget = Budget(caps or Caps(), spent=spent)
        calls = ModelCalls(
            ProgrammedModel(), self.store, run_id="run", budget=self.budget, limiter=Limiter(),
            publish=hear, resumed=resumed, offline=offline,
        )  # fmt: skip
        tuning = Tuning(self.tuner, calls, publish=hear, check=check, patience=patience)
        return await tuning.tune("step/1/tuning", 1, PLAN)


async def test_a_job_is_waited_for_and_settled_by_what_it_trained_on() -> None:
    run = Run(FakeTuner())

    assert await run.process() == "test/tuned-job-0"

    used = await run.store.used("run")
    assert (used.calls, used.prompt_tokens, used.cost_pusd) == (1, 50, 50_000)
    assert run.budget.spent == used
    assert [e.status for e in run.events if isinstance(e, TuningProgressed)] == [
        "running",
        "succeeded",
    ]


async def test_a_killed_process_leaves_a_job_that_the_next_one_goes_on_with() -> None:
    run = Run(FakeTuner(polls=["running", RuntimeError("killed")]))
    with pytest.raises(RuntimeError, match="killed"):
        await run.process()

    run.tuner.polls = ["running", "succeeded"]
    assert await run.process(resumed=True) == "test/tuned-job-0"

    assert len(run.tuner.jobs) == 1
    assert (await run.store.used("run")).cost_pusd == 50_000


async def test_what_was_tuned_is_not_tuned_again() -> None:
    run = Run(FakeTuner())
    await run.process()
    run.tuner.polls = [RuntimeError("asked again")]

    assert await run.process(resumed=True) == "test/tuned-job-0"
    assert await run.process(offline=True) == "test/tuned-job-0"  # a replay


async def test_a_replay_submits_nothing() -> None:
    run = Run(FakeTuner())

    with pytest.raises(ReplayDiffers):
        await run.process(offline=True)

    assert not run.tuner.jobs


async def test_a_failed_job_stops_the_run_and_a_resumed_one_submits_another() -> None:
    run = Run(FakeTuner(polls=["failed"]))
    with pytest.raises(TuningFailed, match="job-0 of test/base failed: diverged") as error:
        await run.process()
    assert error.value.kind == "failed"

    run.tuner.polls = ["succeeded"]
    assert await run.process(resumed=True) == "test/tuned-job-1"


async def test_a_job_that_disappeared_is_a_failed_one() -> None:
    gone = TuningFailed("no such job any more", kind="gone")
    run = Run(FakeTuner(polls=["running", gone]))

    with pytest.raises(TuningFailed, match="no such job any more"):
        await run.process()

    # what it cost cannot be known: the worst case counts
    worst = PLAN.worst_case(1_000)
    assert (await run.store.used("run")).cost_pusd == worst.cost_pusd


async def test_a_rejected_job_costs_a_call_and_is_not_written_down() -> None:
    run = Run(FakeTuner(refuse=TuningFailed("too few examples", kind="rejected")))
    with pytest.raises(TuningFailed, match="too few examples"):
        await run.process()
    assert (await run.store.lost("run")).calls == 1

    run.tuner.refuse = None
    assert await run.process(resumed=True) == "test/tuned-job-0"


async def test_a_job_that_takes_too_long_is_cancelled() -> None:
    run = Run(FakeTuner(polls=["running"]))

    with pytest.raises(TuningFailed, match="did not end within 0 s") as error:
        await run.process(patience=TuningPatience(wait_s=0.0, first_poll_s=0.001, poll_s=0.001))

    assert error.value.kind == "timeout"
    assert run.tuner.cancelled == ["job-0"]


async def test_polls_that_fail_in_passing_are_made_again() -> None:
    lost = TransientModelError("503", kind="overloaded")
    run = Run(FakeTuner(polls=[lost, lost, "succeeded"]))

    assert await run.process() == "test/tuned-job-0"


async def test_a_wish_to_stop_is_seen_while_waiting_and_leaves_the_job() -> None:
    run = Run(FakeTuner(polls=["running"]))
    seen = iter([None, None, Interrupted("asked to stop")])

    def check() -> None:
        wish = next(seen)
        if wish is not None:
            raise wish

    with pytest.raises(Interrupted):
        await run.process(check=check)

    assert run.tuner.cancelled == []
    run.tuner.polls = ["succeeded"]
    assert await run.process(resumed=True) == "test/tuned-job-0"


async def test_the_worst_case_is_reserved_before_anything_is_submitted() -> None:
    worst = PLAN.worst_case(1_000)
    run = Run(FakeTuner())

    with pytest.raises(BudgetExhausted):
        await run.process(caps=Caps(tokens=worst.prompt_tokens - 1))
    assert not run.tuner.jobs

    assert await run.process(caps=Caps(tokens=worst.prompt_tokens)) == "test/tuned-job-0"


async def test_a_cap_in_usd_refuses_what_has_no_price() -> None:
    run = Run(FakeTuner(token_pusd=None))

    with pytest.raises(ConfigError, match=r"set\s+finetune\.usd_per_million_tokens"):
        await run.process(caps=Caps(cost_usd=1.0))

    assert not run.tuner.jobs
