"""Whole trainings under a virtual clock, by seed: invariants 1, 2, 3, 5 and 6.

`FUNCFORGE_SIMULATE=1000000 pytest tests/simulation` plays a million seeds; a failing one is named
in the error, and `FUNCFORGE_SEED=N` plays just that one again.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from funcforge.engine.budget import Caps
from funcforge.engine.run import Outcome
from funcforge.engine.trainer import Trained

from tests.simulation.loop import Killed, VirtualLoop, run_until_killed
from tests.simulation.world import Provider, Scenario, SlowJournal, Watcher, facts_of, make_run

SEEDS = int(os.environ.get("FUNCFORGE_SIMULATE", "200"))


def every_seed(check: Callable[[int], None]) -> None:
    one = os.environ.get("FUNCFORGE_SEED")
    for seed in [int(one)] if one else range(SEEDS):
        try:
            check(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}: replay it with FUNCFORGE_SEED={seed}")
            raise


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def play(
    scenario: Scenario,
    store: SlowJournal,
    provider: Provider,
    *,
    caps: Caps | None = None,
    resumed: bool = False,
    kill_after_s: float | None = None,
    meanwhile: Callable[[Any, VirtualLoop], None] | None = None,
) -> tuple[Outcome[Trained], Watcher]:
    with virtual_loop() as loop:
        run, watcher = make_run(scenario, loop, store, provider, caps=caps, resumed=resumed)
        if meanwhile is not None:
            meanwhile(run, loop)

        async def work() -> Outcome[Trained]:
            async with run:
                return await run.wait()

        outcome = run_until_killed(loop, work(), kill_after_s)
        left = asyncio.all_tasks(loop)
        assert not left, f"invariant 6: tasks left behind: {left}"
        assert provider.in_flight == 0
        return outcome, watcher


def undisturbed(scenario: Scenario) -> tuple[Any, Any, SlowJournal]:
    """The same world with one episode at a time and without faults."""
    calm = replace(scenario, seed=0, in_flight=1, fault_share=0.0, latency_s=(0.01, 0.01))
    return _played(calm)


@cache
def _played(calm: Scenario) -> tuple[Any, Any, SlowJournal]:
    store = SlowJournal()
    outcome, watcher = play(calm, store, Provider(calm))
    return facts_of(outcome), watcher.decisions, store


async def rows(store: SlowJournal) -> Any:
    return await store.dump_rows("run")


def test_neither_concurrency_nor_latency_nor_passing_faults_change_the_outcome() -> None:
    def check(seed: int) -> None:
        scenario = Scenario.draw(seed)
        facts, decisions, calm_store = undisturbed(scenario)
        store = SlowJournal()

        outcome, watcher = play(scenario, store, Provider(scenario))

        assert facts_of(outcome) == facts
        assert watcher.decisions == decisions
        assert asyncio.run(rows(store)) == asyncio.run(rows(calm_store))

    every_seed(check)


def test_killed_anywhere_a_run_resumes_to_the_same_end_and_pays_once() -> None:
    def check(seed: int) -> None:
        scenario = Scenario.draw(seed)
        facts, decisions, calm_store = undisturbed(scenario)
        rng = random.Random(seed)
        store, provider = SlowJournal(), Provider(scenario)
        at_kills = 0
        for life in range(rng.randint(1, 6)):
            try:
                outcome, _ = play(
                    scenario,
                    store,
                    provider,
                    resumed=life > 0,
                    kill_after_s=rng.expovariate(1 / rng.choice([0.05, 1.0, 20.0])),
                )
            except Killed:
                at_kills += provider.in_flight + scenario.in_flight
                provider.in_flight = 0
                store.crash()
            else:
                break
        else:
            outcome, _ = play(scenario, store, provider, resumed=True)

        assert facts_of(outcome) == facts
        stored = asyncio.run(rows(store))
        assert stored == asyncio.run(rows(calm_store))
        assert len(stored["decisions"]) == len(decisions)
        repeated = provider.billed.calls - outcome.usage.calls
        assert repeated <= at_kills, "invariant 3: more calls repeated than were in flight"

    every_seed(check)


def test_a_cap_is_kept_and_the_run_resumes_with_a_larger_one() -> None:
    def check(seed: int) -> None:
        scenario = Scenario.draw(seed)
        facts, _, _ = undisturbed(scenario)
        rng = random.Random(seed)
        store, provider = SlowJournal(), Provider(scenario)
        caps = Caps(calls=rng.randint(1, 40), tokens=rng.choice([None, rng.randint(200, 2000)]))

        outcome, _ = play(scenario, store, provider, caps=caps)

        if outcome.status == "paused":
            assert outcome.stopped_by == "budget"
            outcome, _ = play(scenario, store, provider, resumed=True)
        assert facts_of(outcome) == facts

    every_seed(check)


def test_asked_to_stop_a_run_drains_and_resumes_to_the_same_end() -> None:
    def check(seed: int) -> None:
        scenario = Scenario.draw(seed)
        facts, _, _ = undisturbed(scenario)
        store, provider = SlowJournal(), Provider(scenario)
        after_s = random.Random(seed).expovariate(1.0)

        outcome, _ = play(
            scenario,
            store,
            provider,
            meanwhile=lambda run, loop: loop.call_later(after_s, run.stop),
        )

        if outcome.status == "interrupted":
            outcome, _ = play(scenario, store, provider, resumed=True)
        assert facts_of(outcome) == facts
        repeated = provider.billed.calls - outcome.usage.calls
        assert repeated == 0, "draining loses nothing that was paid for"

    every_seed(check)


def test_a_provider_that_never_answers_stops_the_run_in_bounded_time_without_a_score() -> None:
    def check(seed: int) -> None:
        scenario = replace(Scenario.draw(seed), fault_share=1.0)
        provider = Provider(scenario)

        outcome, watcher = play(scenario, SlowJournal(), provider)

        assert outcome.status == "failed"
        assert outcome.value is None
        assert "failed" in outcome.message
        assert watcher.decisions == []
        assert provider.requests <= 16 * (20 + scenario.in_flight)

    every_seed(check)


def test_cancelling_leaves_nothing_behind_and_the_run_resumes() -> None:
    def check(seed: int) -> None:
        scenario = Scenario.draw(seed)
        facts, _, _ = undisturbed(scenario)
        store, provider = SlowJournal(), Provider(scenario)
        after_s = random.Random(seed).expovariate(1.0)
        with virtual_loop() as loop:
            run, _ = make_run(scenario, loop, store, provider)

            async def work() -> None:
                async with run:
                    run.run()
                    await asyncio.sleep(after_s)

            loop.run_until_complete(work())
            left = asyncio.all_tasks(loop)
            assert not left, f"tasks left behind: {left}"
            assert provider.in_flight == 0
        store.release("run")

        outcome, _ = play(scenario, store, provider, resumed=True)

        assert facts_of(outcome) == facts

    every_seed(check)


@pytest.mark.parametrize("in_flight", [1, 8, 256])
def test_rows_are_the_same_at_any_concurrency(in_flight: int) -> None:
    scenario = replace(Scenario.draw(7), train=12, test=6, fault_share=0.1)
    _, _, calm_store = undisturbed(scenario)
    store = SlowJournal()

    play(replace(scenario, in_flight=in_flight), store, Provider(scenario))

    assert asyncio.run(rows(store)) == asyncio.run(rows(calm_store))
