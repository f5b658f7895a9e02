from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from funcforge.engine.acceptance import Acceptance, Evidence, Verdict, Wave
from funcforge.engine.acceptances import policy
from funcforge.engine.errors import ConfigError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.acceptance_runs import draws, first_evidence, step

SETTINGS = [
    ("paper", {}),
    ("paper", {"incumbent": "rescored"}),
    ("no_worse", {}),
    ("fixed", {}),
    ("fixed", {"incumbent": "stored", "repeats": 2}),
    ("sequential", {"gain": 0.3}),
    ("sequential", {"climb": False, "gain": 0.3}),
    ("sequential", {"climb": False, "gain": 0.3, "sampled": True, "wave": 7}),
]
ALL = pytest.mark.parametrize(("name", "options"), SETTINGS)
MEANS = {f"task-{i}": i / 9 for i in range(10)}


@ALL
def test_ends_with_a_verdict_that_json_can_hold(name: str, options: dict) -> None:
    evidence = first_evidence(MEANS)

    verdict, _, _ = step(policy(name, options), evidence, draws(1, MEANS), draws(2, MEANS))

    assert json.loads(json.dumps(verdict.details)) == verdict.details
    assert -1 <= verdict.low <= verdict.high <= 1
    assert 0 <= verdict.incumbent_score <= 1
    assert 0 <= verdict.candidate_score <= 1
    assert verdict.episodes > 0


@ALL
def test_equal_evidence_gives_an_equal_answer(name: str, options: dict) -> None:
    evidence = first_evidence(MEANS)

    one = step(policy(name, options), evidence, draws(1, MEANS), draws(2, MEANS))
    two = step(policy(name, options), evidence, draws(1, MEANS), draws(2, MEANS))

    assert one == two


@ALL
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    failing=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 1000),
    shape=st.sampled_from(["all right", "all wrong", "mixed"]),
)
def test_ends_whatever_fails(
    name: str, options: dict, failing: float, seed: int, shape: str
) -> None:
    means = {"all right": dict.fromkeys(MEANS, 1.0), "all wrong": dict.fromkeys(MEANS, 0.0)}.get(
        shape, MEANS
    )
    evidence = first_evidence(means, seed, failing)

    verdict, seen, _ = step(
        policy(name, options), evidence, draws(1, means, failing), draws(seed, means, failing)
    )

    assert isinstance(verdict, Verdict)
    if failing == 1.0:
        assert not verdict.accepted
    assert all(len(scores) < 100 for scores in seen.candidate.values())


@ALL
@pytest.mark.parametrize("wrong", [math.nan, 1.5, -0.1, math.inf])
def test_refuses_what_is_no_score(name: str, options: dict, wrong: float) -> None:
    scores = dict.fromkeys(MEANS, (wrong,) * 60)
    evidence = Evidence(
        step=1, seed=0, tasks=tuple(MEANS), incumbent=scores, candidate=dict.fromkeys(MEANS, (1.0,))
    )

    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        step(policy(name, options), evidence, draws(1, MEANS), draws(2, MEANS))


@ALL
@pytest.mark.parametrize("tasks", [(), ("only",), ("same", "same")])
def test_refuses_too_few_tasks(name: str, options: dict, tasks: tuple[str, ...]) -> None:
    evidence = Evidence(step=1, seed=0, tasks=tasks, incumbent={}, candidate={})

    with pytest.raises(ConfigError, match="acceptance"):
        policy(name, options).judge(evidence)


@ALL
def test_a_great_improvement_is_found(name: str, options: dict) -> None:
    before = dict.fromkeys(MEANS, 0.05)
    after = dict.fromkeys(MEANS, 0.97)

    verdict, _, _ = step(
        policy(name, options), first_evidence(before), draws(1, before), draws(2, after)
    )

    assert verdict.accepted


@pytest.mark.parametrize("name", ["paper", "fixed", "sequential"])
def test_a_great_loss_is_rolled_back(name: str) -> None:
    before = dict.fromkeys(MEANS, 0.97)
    after = dict.fromkeys(MEANS, 0.05)

    verdict, _, _ = step(policy(name), first_evidence(before), draws(1, before), draws(2, after))

    assert verdict.outcome == "not_better"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("papr", {}, "did you mean 'paper'"),
        ("fixed", {"alhpa": 0.1}, "did you mean 'alpha'"),
        ("fixed", {"alpha": 2.0}, "not in"),
        ("fixed", {"alpha": "0.1"}, "type float"),
        ("fixed", {"repeats": 0}, "below 1"),
        ("fixed", {"steps": True}, "type int"),
        ("paper", {"incumbent": "forgotten"}, "neither"),
        ("sequential", {"gain": 0.0}, "acceptance.gain"),
        ("sequential", {"gain": math.nan}, "acceptance.gain"),
        ("sequential", {"climb": False, "gain": math.nan}, "acceptance.gain"),
        ("sequential", {"climb": False, "episodes": 5}, "never decide"),
        ("sequential", {"episodes": 5}, "never prove"),
        ("sequential", {"stake": 1.0}, "acceptance.stake"),
        ("sequential", {"steps": 9}, "with climb = true"),
        ("sequential", {"climb": 1}, "type bool"),
    ],
)
def test_wrong_settings_say_what_is_allowed(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        policy(name, options)


@ALL
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_outcomes_that_are_all_equal_are_no_improvement(
    name: str, options: dict, score: float
) -> None:
    means = dict.fromkeys(MEANS, score)

    verdict, _, _ = step(
        policy(name, options), first_evidence(means), draws(1, means), draws(2, means)
    )

    assert verdict.accepted is (name == "no_worse")  # where ties count
    assert verdict.candidate_score == pytest.approx(score, abs=0.05)


@ALL
@pytest.mark.parametrize("side", ["candidate", "incumbent"])
def test_tasks_that_failed_on_one_side_only_never_skew(name: str, options: dict, side: str) -> None:
    # the even tasks are always solved, the odd ones never; one side fails on the odd ones only,
    # so that its plain mean would be twice the other's
    solved = {task: float(index % 2 == 0) for index, task in enumerate(MEANS)}

    def failing(task: str, repeat: int) -> float | None:
        return solved[task] or None

    def whole(task: str, repeat: int) -> float | None:
        return solved[task]

    ours, theirs = (failing, whole) if side == "candidate" else (whole, failing)
    first = {task: (theirs(task, 0),) for task in MEANS}
    evidence = Evidence(step=1, seed=0, tasks=tuple(MEANS), incumbent=first, candidate={})

    verdict, _, _ = step(policy(name, options), evidence, theirs, ours)

    assert verdict.accepted is (name == "no_worse")
    assert verdict.details["dropped"] + verdict.details["tasks"] == len(MEANS)
    assert verdict.details["dropped"] > 0


def test_failed_episodes_are_dropped_in_pairs_and_counted() -> None:
    evidence = Evidence(
        step=1,
        seed=0,
        tasks=("a", "b", "c", "d"),
        incumbent={"a": (0.0,), "b": (None,), "c": (1.0,), "d": (0.0,)},
        candidate={"a": (1.0,), "b": (1.0,), "c": (None,), "d": (0.0,)},
    )

    verdict = policy("paper").judge(evidence)

    assert isinstance(verdict, Verdict)
    assert (verdict.incumbent_score, verdict.candidate_score) == (0.0, 0.5)
    assert verdict.details == {"tasks": 2, "dropped": 2}


def test_the_paper_rolls_back_a_tie_and_ties_count_accepts_it() -> None:
    scores = {"a": (1.0,), "b": (0.0,)}
    evidence = Evidence(step=1, seed=0, tasks=("a", "b"), incumbent=scores, candidate=scores)

    assert _outcome(policy("paper"), evidence) == "not_better"
    assert _outcome(policy("no_worse"), evidence) == "better"


def test_a_rescored_incumbent_is_compared_on_its_fresh_outcomes_only() -> None:
    evidence = Evidence(
        step=2,
        seed=0,
        tasks=("a", "b"),
        incumbent={"a": (0.0, 1.0), "b": (0.0, 1.0)},
        candidate={"a": (1.0,), "b": (0.5,)},
    )

    assert _outcome(policy("paper", {"incumbent": "rescored"}), evidence) == "not_better"
    assert _outcome(policy("paper"), evidence) == "better"


def test_the_fixed_test_leaves_outcomes_that_won_an_acceptance_aside() -> None:
    fixed = policy("fixed", {"incumbent": "stored"})
    won = replace(_verdict(fixed), outcome="better")
    evidence = Evidence(
        step=2,
        seed=0,
        tasks=("a", "b"),
        incumbent={"a": (1.0,), "b": (1.0,)},
        candidate={},
        earlier=(won,),
    )

    wave = fixed.judge(evidence)

    assert wave == Wave(candidate=(("a", 0), ("b", 0)), incumbent=(("a", 1), ("b", 1)))


def _verdict(fixed: Acceptance) -> Verdict:
    means = {f"t{i}": random.Random(i).random() for i in range(5)}
    verdict, _, _ = step(fixed, first_evidence(means), draws(1, means), draws(2, means))
    return verdict


def _outcome(acceptance: Acceptance, evidence: Evidence) -> str:
    answer = acceptance.judge(evidence)
    assert isinstance(answer, Verdict)
    return answer.outcome
