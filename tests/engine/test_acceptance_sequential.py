from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from funcforge.engine.acceptance import Verdict
from funcforge.engine.acceptances import policy
from funcforge.engine.acceptances.outcomes import TRIES
from funcforge.engine.acceptances.sequential import Sequential
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.acceptance_runs import draws, first_evidence, step

MEANS = {f"task-{i:02}": random.Random(i).betavariate(0.8, 0.25) for i in range(20)}
WORSE = {task: mean * 0.5 for task, mean in MEANS.items()}
BETTER = {task: max(mean, 0.95) for task, mean in WORSE.items()}


def _decision(verdict: Verdict) -> tuple[Any, ...]:
    """What must not depend on how the episodes were grouped; what was spent beyond it may."""
    details = {k: v for k, v in verdict.details.items() if k not in ("asked", "selected")}
    return verdict.outcome, verdict.reason, verdict.p_value, verdict.low, verdict.high, details


@settings(max_examples=15, deadline=None)
@given(
    wave=st.integers(4, 200),
    seed=st.integers(0, 10_000),
    gain=st.sampled_from([0.0, 0.2, 0.5]),
    failing=st.sampled_from([0.0, 0.1]),
)
def test_no_wave_size_changes_a_decision(wave: int, seed: int, gain: float, failing: float) -> None:
    before = {task: mean * 0.6 for task, mean in MEANS.items()}
    after = {task: min(1.0, mean + gain) for task, mean in before.items()}
    evidence = first_evidence(before, seed)
    sides = draws((seed, 1), before, failing), draws((seed, 2), after, failing)

    one, _, _ = step(
        policy("sequential", {"climb": False, "gain": 0.3, "wave": wave}), evidence, *sides
    )
    other, _, _ = step(policy("sequential", {"climb": False, "gain": 0.3}), evidence, *sides)

    assert _decision(one) == _decision(other)


def test_more_outcomes_than_asked_for_change_nothing() -> None:
    evidence = first_evidence(WORSE)
    sides = draws(1, WORSE), draws(2, BETTER)
    sequential = policy("sequential", {"climb": False, "gain": 0.3})
    verdict, seen, _ = step(sequential, evidence, *sides)
    ahead = {
        task: (*scores, *(sides[1](task, len(scores) + more) for more in range(5)))
        for task, scores in seen.candidate.items()
    }

    again = sequential.judge(replace(seen, candidate=ahead))

    assert isinstance(again, Verdict)
    assert _decision(again) == _decision(verdict)


@pytest.mark.parametrize("model", ["no change", "other tasks, same mean", "flat"])
def test_runs_without_improvement_rarely_accept(model: str) -> None:
    means = dict(list(MEANS.items())[:8])
    values = list(means.values())
    after = {
        "no change": means,
        "other tasks, same mean": dict(zip(means, reversed(values), strict=True)),
        "flat": dict.fromkeys(means, sum(values) / len(values)),
    }[model]
    wrong = 0

    for seed in range(20):
        evidence = first_evidence(means, seed)
        earlier: tuple[Verdict, ...] = ()
        for number in range(1, 4):
            sides = draws((seed, 1), means), draws((seed, 2, number), after)
            options = {"gain": 0.4, "alpha": 0.3, "steps": 3, "wave": 8 + seed}
            found, seen, _ = step(
                policy("sequential", {"climb": False, **options}),
                replace(evidence, step=number, earlier=earlier),
                *sides,
            )
            evidence, earlier = replace(evidence, incumbent=seen.incumbent), (*earlier, found)
        wrong += any(verdict.accepted for verdict in earlier)

    assert wrong <= 6 + 4  # 0.3 of 20 and two standard deviations


def test_an_accepted_score_is_estimated_again_on_fresh_repeats() -> None:
    sequential = policy("sequential", {"climb": False, "gain": 0.3})
    lucky = dict.fromkeys(WORSE, 1.0)
    won, seen, _ = step(sequential, first_evidence(WORSE), draws(1, WORSE), draws(2, lucky))
    assert won.accepted
    evidence = replace(seen, step=2, incumbent=seen.candidate, candidate={}, earlier=(won,))

    verdict, after, waves = step(sequential, evidence, draws(3, WORSE), draws(4, WORSE))

    rounds, selected = verdict.details["rounds"], won.details["selected"]
    fresh = [
        score
        for task, scores in after.incumbent.items()
        for score in scores[selected[task] : selected[task] + rounds]
    ]
    assert len(fresh) >= len(WORSE)
    assert waves[0].incumbent
    assert verdict.incumbent_score == pytest.approx(sum(fresh) / len(fresh), abs=0.1)
    assert verdict.incumbent_score < won.candidate_score - 0.2


def test_the_incumbent_keeps_its_outcomes_over_rejected_steps() -> None:
    sequential = policy("sequential", {"climb": False, "gain": 0.3})
    first, seen, _ = step(sequential, first_evidence(MEANS), draws(1, MEANS), draws(2, WORSE))
    evidence = replace(seen, step=2, candidate={}, earlier=(first,))

    second, _, waves = step(sequential, evidence, draws(1, MEANS), draws(3, WORSE))

    assert first.outcome == second.outcome == "not_better"
    assert second.details["rounds"] >= first.details["rounds"]
    assert (first.details["held"], second.details["held"]) == (0, 1)
    # what it has is kept, and what comes anew are later repeats
    stored = {task: len(scores) for task, scores in seen.incumbent.items()}
    assert all(repeat >= stored[task] for wave in waves for task, repeat in wave.incumbent)


def test_an_incumbent_that_outlives_proposals_gets_more_repeats_and_a_new_one_few() -> None:
    sequential = Sequential(gain=0.1)

    rounds = [sequential.rounds(200, 20, held, variance=0.1) for held in range(6)]

    assert rounds == [20, 25, 30, 35, 40, 40]  # 2 to 4 episodes for each of 200 draws


def test_an_incumbent_whose_outcomes_hardly_vary_needs_few_repeats() -> None:
    sequential = Sequential(gain=0.1)

    assert sequential.rounds(0, 20, 0, variance=0.1) == 13  # 250 episodes
    assert sequential.rounds(0, 20, 0, variance=0.01) == 2


def test_agreeing_repeats_lead_to_smaller_gains_and_fewer_rounds() -> None:
    solved = {f"task-{i:03}": float(i % 2) for i in range(100)}
    better = solved | {f"task-{i:03}": 1.0 for i in range(0, 12, 2)}  # 6 points
    accepted, rounds = 0, []
    for seed in range(8):
        evidence = first_evidence(solved, seed)
        verdict, _, _ = step(
            policy("sequential", {"climb": False}), evidence, draws(1, solved), draws(2, better)
        )
        accepted += verdict.accepted
        rounds.append(verdict.details["rounds"])

    assert accepted >= 5
    assert max(rounds) <= 8


def test_the_incumbent_gets_a_round_where_it_alone_keeps_a_candidate_waiting() -> None:
    right = dict.fromkeys(MEANS, 1.0)
    frugal = Sequential(gain=0.3, ratio=8.0)

    _, _, waves = step(frugal, first_evidence(WORSE), draws(1, WORSE), draws(2, right))

    assert any(wave.incumbent and not wave.candidate for wave in waves[1:])


def test_rejected_proposals_use_up_the_wealth_and_acceptances_do_not() -> None:
    sequential = policy("sequential", {"climb": False, "gain": 0.3})
    verdict, _, _ = step(sequential, first_evidence(MEANS), draws(1, MEANS), draws(2, WORSE))

    wealth = verdict.details["wealth"]

    assert wealth[-1] < 1
    assert min(wealth) >= 1 - 1.2 / 10 - 1e-3


def test_tasks_that_always_fail_are_left_out_and_counted() -> None:
    broken = list(MEANS)[::2]

    def candidate(task: str, repeat: int) -> float | None:
        return None if task in broken else draws(2, BETTER)(task, repeat)

    verdict, seen, _ = step(
        policy("sequential", {"climb": False, "gain": 0.3}),
        first_evidence(WORSE),
        draws(1, WORSE),
        candidate,
    )

    assert verdict.accepted
    dropped = [task for task in broken if seen.candidate.get(task, ()).count(None) >= TRIES]
    assert verdict.details["dropped"] == len(dropped) > 0
    assert f"{len(dropped)} left out" in verdict.reason


def test_a_hopeless_proposal_stops_long_before_the_budget() -> None:
    sequential = policy("sequential", {"climb": False})
    spent = []
    for seed in range(10):
        verdict, _, _ = step(
            sequential,
            first_evidence(MEANS, seed),
            draws((seed, 1), MEANS),
            draws((seed, 2), WORSE),
        )
        spent.append(verdict.details["draws"])

    assert sum(spent) / len(spent) < 0.2 * 250
