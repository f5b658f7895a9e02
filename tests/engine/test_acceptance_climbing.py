from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from funcforge.engine.acceptance import Evidence, Verdict
from funcforge.engine.acceptances import policy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.acceptance_runs import Draw, draws, first_evidence, step

MEANS = {f"task-{i:02}": random.Random(i).betavariate(0.8, 0.8) for i in range(20)}


def moved(share: float) -> dict[str, float]:
    """Task means that much closer to 1 (or to 0, if negative)."""
    return {t: m + share * (1 - m) if share > 0 else m * (1 + share) for t, m in MEANS.items()}


def following(seen: Evidence, verdict: Verdict, number: int) -> Evidence:
    """Return the evidence of the next step, as the trainer makes it."""
    earlier = (*seen.earlier, verdict)
    head = seen.candidate if verdict.promising else seen.head
    if verdict.accepted:
        return replace(
            seen, step=number, incumbent=seen.candidate, candidate={}, head={}, earlier=earlier
        )
    return replace(seen, step=number, candidate={}, head=head, earlier=earlier)


def climb(
    options: dict[str, Any], means: list[dict[str, float]], seed: int
) -> list[tuple[Verdict, Evidence]]:
    """Play proposals with these true task means, one after the other."""
    climbing, found = policy("sequential", options), []
    evidence, incumbent = first_evidence(MEANS, seed), draws((seed, "incumbent"), MEANS)
    for number, candidate in enumerate(means, start=1):
        ours: Draw = draws((seed, number), candidate)
        verdict, seen, _ = step(climbing, evidence, incumbent, ours)
        found.append((verdict, seen))
        if verdict.accepted:
            incumbent = ours
        evidence = following(seen, verdict, number + 1)
    return found


def test_small_gains_are_built_on_first_and_proven_together() -> None:
    path = [moved(0.25), moved(0.5), moved(0.75), moved(0.95)]

    runs = [[verdict for verdict, _ in climb({}, path, seed)] for seed in range(6)]

    assert all(any(verdict.accepted for verdict in run) for run in runs)
    promising = [verdict for run in runs for verdict in run if verdict.promising]
    assert promising
    assert all(verdict.outcome == "not_enough_evidence" for verdict in promising)
    assert all("promising" in verdict.reason for verdict in promising)


def test_a_harmful_proposal_costs_few_episodes() -> None:
    spent = [
        climb({}, [moved(-0.5)], seed)[0][0].details["draws"]  # of the candidate
        for seed in range(10)
    ]

    assert sum(spent) / len(spent) < 20


@settings(max_examples=8, deadline=None)
@given(wave=st.sampled_from([1, 3, 17, 400]), seed=st.integers(0, 50))
def test_no_wave_size_changes_a_decision(wave: int, seed: int) -> None:
    path = [moved(-0.2), moved(0.4), MEANS]

    usual = [verdict for verdict, _ in climb({}, path, seed)]
    other = [verdict for verdict, _ in climb({"wave": wave}, path, seed)]

    keys = ("outcome", "reason", "promising", "p_value", "incumbent_score", "candidate_score")
    assert [[getattr(v, key) for key in keys] for v in usual] == [
        [getattr(v, key) for key in keys] for v in other
    ]


def test_screening_spends_no_alpha_and_lost_bets_do() -> None:
    for seed in range(12):
        (verdict, _), *_ = climb({}, [MEANS], seed)
        wealth = verdict.details["wealth"]
        if verdict.details["proved_on"] == 0:
            assert min(wealth) == pytest.approx(1, abs=1e-3)
        else:
            assert min(wealth) >= 0.6 - 1e-3  # the stake is 0.4
            assert max(wealth) <= 1  # a won bet pays for no other version


@pytest.mark.slow
def test_without_an_improvement_hardly_a_run_accepts_anything() -> None:
    wrong = sum(
        any(verdict.accepted for verdict, _ in climb({"alpha": 0.3}, [MEANS] * 5, seed))
        for seed in range(20)
    )

    assert wrong <= 6 + 4  # 0.3 of 20 and two standard deviations


def test_a_promising_version_is_confirmed_on_fresh_episodes_only() -> None:
    better, climbing = moved(0.6), policy("sequential")
    lucky = dict.fromkeys(MEANS, 1.0)
    head = dict.fromkeys(MEANS, (1.0,) * 4)  # what made it promising: luck
    for seed in range(40):
        (verdict, seen), *_ = climb({}, [better], seed)
        if verdict.promising:
            break
    evidence = replace(following(seen, verdict, 2), candidate=head, head=head, confirm=True)

    worse, after, waves = step(
        climbing, evidence, draws((seed, "incumbent"), MEANS), draws(1, moved(-0.5))
    )
    good, _, _ = step(climbing, evidence, draws((seed, "incumbent"), MEANS), draws(1, lucky))

    assert not worse.accepted
    assert not worse.promising
    assert good.accepted
    assert all(number >= 4 for number in good.details["selected"].values())
    assert all(repeat >= 4 for wave in waves for _, repeat in wave.candidate)
    assert sum(len(scores) - 4 for scores in after.candidate.values()) <= worse.episodes


def test_a_step_that_leaves_a_task_out_forgets_nothing_of_the_version_in_use() -> None:
    climbing = policy("sequential")
    evidence, incumbent = first_evidence(MEANS), draws((0, "incumbent"), MEANS)
    broken = next(iter(MEANS))
    usual = draws(2, moved(-0.5))

    first, seen, _ = step(climbing, evidence, incumbent, draws(1, moved(-0.5)))
    later, _, _ = step(
        climbing,
        following(seen, first, 2),
        incumbent,
        lambda task, repeat: None if task == broken else usual(task, repeat),
    )

    assert first.details["dropped"] == 0
    assert later.details["rounds"] == first.details["rounds"] == 1
    before, after = first.details["base"][1], later.details["base"][1]
    assert after > 0.7 * before, "a round is not learned from twice"


def test_what_a_promising_version_did_to_be_learned_from_is_taken_in_once() -> None:
    climbing, better = policy("sequential"), moved(0.4)
    incumbent = draws((3, "incumbent"), MEANS)
    for seed in range(40):
        (verdict, seen), *_ = climb({}, [better], seed)
        if verdict.promising:
            break
    evidence = following(seen, verdict, 2)
    wrong = {task: (*scores, *(0.0,) * 5) for task, scores in evidence.head.items()}

    worse = draws(9, dict.fromkeys(MEANS, 0.0))

    plain, _, _ = step(climbing, evidence, incumbent, worse)
    told, again, _ = step(climbing, replace(evidence, head=wrong), incumbent, worse)
    later, _, _ = step(climbing, following(again, told, 3), incumbent, worse)

    assert [one.outcome for one in (plain, told, later)] == ["not_better"] * 3
    assert told.details["head"][0] < plain.details["head"][0] - 0.1
    assert told.details["head_asked"] == {task: len(wrong.get(task, ())) for task in MEANS}
    assert later.details["head"] == pytest.approx(told.details["head"], rel=0.2)
