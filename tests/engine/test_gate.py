"""The regression gate: its grammar, and when it is sure."""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest
from funcforge.engine.errors import ConfigError
from funcforge.engine.gate import Verdict, judge, parse
from funcforge.engine.resampling import TaskFigures


def test_a_condition_is_read_as_a_sum_compared_with_nothing() -> None:
    condition = parse('accuracy(B) < 0.5 * accuracy("A (old)") - 0.02')

    assert condition.terms == ((1.0, "accuracy", "B"), (-0.5, "accuracy", "A (old)"))
    assert (condition.constant, condition.compare) == (0.02, "<")
    assert condition.arms == ("B", "A (old)")


@pytest.mark.parametrize(
    ("text", "terms", "constant"),
    [
        ("cost(openai/gpt-4o + learned)>.5", ((1.0, "cost", "openai/gpt-4o + learned"),), -0.5),
        ("-accuracy(a)+1<=0", ((-1.0, "accuracy", "a"),), 1.0),
        ("2 >= 3*latency_p95(a) - failed(b)",
         ((-3.0, "latency_p95", "a"), (1.0, "failed", "b")), 2.0),
    ],
)  # fmt: skip
def test_spellings(text: str, terms: object, constant: float) -> None:
    condition = parse(text)

    assert (condition.terms, condition.constant) == (terms, constant)


@pytest.mark.parametrize(
    "text",
    ["", "accuracy(a)", "accuracy(a) <", "< accuracy(a)", "accuracy(a) < b", "1 < 2",
     "accuracy(a) accuracy(b) < 1", "accuracy(a) < 1 < 2", "speed(a) < 1", "accuracy(a) < 2 *",
     "2 * 3 < accuracy(a)", "accuracy(a) ** 2 < 1", "accuracy(a) < 1e400", "+accuracy(a) < 1",
     "__import__('os').system('id') < 1", "accuracy(a) < 1; 1", "accuracy(a) - - 1 < 0", "*1 < 2"],
)  # fmt: skip
def test_anything_else_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no condition: .*Write e\.g\. accuracy\(B\)"):
        parse(text)


def verdict(text: str, a: list[float], b: list[float], **figures: float) -> tuple[str, str]:
    scores = {"A": {str(n): [s] for n, s in enumerate(a)},
              "B": {str(n): [s] for n, s in enumerate(b)}}  # fmt: skip
    known = {arm: {"accuracy": 0.5, **figures} for arm in scores}
    found = judge(parse(text), known, scores, {}, alpha=0.05, seed=0)
    return found.outcome, found.reason


def test_it_fails_only_when_it_is_sure() -> None:
    gate = "accuracy(B) < accuracy(A) - 0.02"
    clearly_worse = verdict(gate, [1.0] * 80 + [0.0] * 20, [1.0] * 50 + [0.0] * 50)
    hardly_worse = verdict(gate, [1.0] * 80 + [0.0] * 20, [1.0] * 77 + [0.0] * 23)
    clearly_better = verdict(gate, [1.0] * 50 + [0.0] * 50, [1.0] * 80 + [0.0] * 20)

    assert clearly_worse[0] == "failed"
    assert hardly_worse == (
        "cannot tell", "as measured it holds, but on 100 tasks that may be chance"
    )  # fmt: skip
    assert clearly_better[0] == "passed"


def test_equal_arms_on_many_tasks_pass_a_gate_with_a_margin() -> None:
    scores = [float(n % 2) for n in range(400)]

    assert verdict("accuracy(B) < accuracy(A) - 0.02", scores, scores)[0] == "passed"
    assert verdict("accuracy(B) < accuracy(A)", scores, scores)[0] == "cannot tell"


def drawn(seed: int, tasks: int = 60, **changes: float) -> dict[str, TaskFigures]:
    """Two episodes of each task; costs, tokens and latencies vary from task to task by half."""
    random = Random(seed)
    found = {}
    for task in range(tasks):
        part = random.uniform(0.5, 1.5)
        failed = int(random.random() < changes.get("failed", 0.0))
        solved = int(random.random() < changes.get("skill", 0.5))
        found[str(task)] = TaskFigures(
            accuracy=float(solved), scored=2 - failed, solved=2 * solved, failed=failed,
            cost_usd=2 * part * changes.get("cost", 0.01), tokens=round(200 * part),
            latencies_s=tuple(
                part * changes.get("latency", 1.0) * random.uniform(0.9, 1.1) for _ in range(2)
            ),
        )  # fmt: skip
    return found


def judged(text: str, a: dict[str, TaskFigures], b: dict[str, TaskFigures]) -> Verdict:
    arms = {"A": a, "B": b}
    figures = {}
    for name, tasks in arms.items():
        every = list(tasks.values())
        latencies = sorted(latency for one in every for latency in one.latencies_s)
        scored = sum(one.scored for one in every)
        figures[name] = {
            "accuracy": fmean(one.accuracy or 0.0 for one in every),
            "cost": sum(one.cost_usd for one in every) / scored,
            "tokens": sum(one.tokens for one in every) / scored,
            "cost_per_solved": sum(o.cost_usd for o in every)
            / max(sum(o.solved for o in every), 1),
            "failed": sum(o.failed for o in every) / sum(o.failed + o.scored for o in every),
            "latency_p50": latencies[len(latencies) // 2],
            "latency_p95": latencies[len(latencies) * 95 // 100],
        }
    return judge(parse(text), figures, {}, arms, alpha=0.05, seed=0)


@pytest.mark.parametrize(
    ("text", "changes", "outcome"),
    [
        ("cost(B) > cost(A)", {"cost": 0.02}, "failed"),
        ("cost(B) > cost(A)", {"cost": 0.0101}, "cannot tell"),
        ("cost(B) > 1.2 * cost(A)", {"cost": 0.0101}, "passed"),
        ("cost(B) > 0.005", {}, "failed"),
        ("cost_per_solved(B) > cost_per_solved(A)", {"cost": 0.03}, "failed"),
        ("tokens(B) > 2 * tokens(A)", {}, "passed"),
        ("latency_p95(B) > latency_p95(A)", {"latency": 3.0}, "failed"),
        ("latency_p95(B) > latency_p95(A)", {"latency": 1.01}, "cannot tell"),
        ("latency_p50(B) > 5", {}, "passed"),
        ("failed(B) > 0.01", {}, "cannot tell"),  # none of 60 failed: that is no proof
        ("failed(B) > 0.1", {}, "passed"),
        ("failed(B) > 0.05", {"failed": 0.6}, "failed"),
        ("accuracy(B) - 10 * cost(B) < 0", {"skill": 0.9}, "passed"),
    ],
)  # fmt: skip
def test_it_is_sure_of_other_metrics_too(
    text: str, changes: dict[str, float], outcome: str
) -> None:
    found = judged(text, drawn(1), drawn(2, **changes))

    assert found.outcome == outcome, found
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


def test_few_tasks_or_nothing_solved_can_not_be_told() -> None:
    few = judged("cost(B) > cost(A)", drawn(1, tasks=9), drawn(2, tasks=9, cost=5.0))
    hopeless = judged("cost_per_solved(B) > 0", drawn(1), drawn(2, skill=0.0))

    for found in (few, hopeless):
        assert (found.outcome, found.low) == ("cannot tell", None)
        assert "so few tasks, or answers" in found.reason


def test_a_false_alarm_is_as_rare_as_it_says() -> None:
    alarms = sum(
        judged("cost(B) > cost(A)", drawn(2 * n), drawn(2 * n + 1)).outcome == "failed"
        for n in range(200)
    )

    assert alarms <= 20, "5 % of 200 are expected"


def test_a_figure_that_is_missing_cannot_be_told() -> None:
    assert verdict("latency_p50(B) > 1", [1.0], [1.0])[0] == "cannot tell"
    assert verdict("accuracy(C) > 1", [1.0], [1.0]) == ("cannot tell", "there is no accuracy(C)")
