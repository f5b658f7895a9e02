"""The regression gate: its grammar, and when it is sure."""

from __future__ import annotations

import pytest
from funcforge.engine.errors import ConfigError
from funcforge.engine.gate import judge, parse


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
    found = judge(parse(text), known, scores, alpha=0.05, seed=0)
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


def test_other_metrics_are_compared_as_measured() -> None:
    assert verdict("cost(B) > 0.01", [1.0], [1.0], cost=0.02) == ("failed", "as measured")
    assert verdict("cost(B) > 0.05", [1.0], [1.0], cost=0.02) == ("passed", "as measured")


def test_a_figure_that_is_missing_cannot_be_told() -> None:
    assert verdict("latency_p50(B) > 1", [1.0], [1.0])[0] == "cannot tell"
    assert verdict("accuracy(C) > 1", [1.0], [1.0]) == ("cannot tell", "there is no accuracy(C)")
