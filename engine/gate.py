"""A regression gate: conditions like "accuracy(B) < accuracy(A) - 0.02", read and judged.

The grammar, all of it; nothing is executed:

    condition   sum ("<" | "<=" | ">" | ">=") sum
    sum         ["-"] term (("+" | "-") term)*
    term        NUMBER | [NUMBER "*"] metric
    metric      NAME "(" ARM ")"              an arm's name, in quotes where it holds a bracket
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from .contrast import mean_interval
from .errors import ConfigError
from .resampling import TaskFigures, sum_interval
from .statistics import ScoresByTask, task_means

METRICS = (
    "accuracy", "cost", "cost_per_solved", "tokens", "latency_p50", "latency_p95", "latency_p99",
    "failed",
)  # fmt: skip
Judged = Literal["failed", "passed", "cannot tell"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)"
    r"|(?P<metric>[a-z_][a-z_0-9]*)\s*\(\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<arm>[^()\"]*?))\s*\)"
    r"|(?P<compare><=|>=|<|>)|(?P<sign>[+\-*]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`constant + sum(coefficient * metric(arm))` compared with 0: what a gate fails on."""

    text: str  # as it was written
    terms: tuple[tuple[float, str, str], ...]  # coefficient, metric, arm
    constant: float
    compare: str  # "<", "<=", ">", ">="

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that it names, each once."""
        return tuple(dict.fromkeys(arm for _, _, arm in self.terms))

    @property
    def statistical(self) -> bool:
        """Whether it is about accuracies alone, which have intervals."""
        return all(metric == "accuracy" for _, metric, _ in self.terms)

    def holds(self, value: float) -> bool:
        """Whether a value of the sum meets the condition."""
        match self.compare:
            case "<":
                return value < 0
            case "<=":
                return value <= 0
            case ">":
                return value > 0
        return value >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says of one condition."""

    condition: str
    outcome: Judged
    reason: str  # for people
    value: float | None = None  # left side minus right side; None: an arm has no such figure
    low: float | None = None  # of the value; None: nobody can tell how sure it is
    high: float | None = None


def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        ConfigError: It is none; says where it breaks off and what is allowed.
    """
    tokens = _tokens(text)
    places = [place for place, (kind, _, _) in enumerate(tokens) if kind == "compare"]
    if len(places) != 1:
        raise _wrong(text, "one of <, <=, > and >= must stand between two sides")
    left, left_constant = _sum(text, tokens[: places[0]])
    right, right_constant = _sum(text, tokens[places[0] + 1 :])
    terms = (*left, *((-coefficient, metric, arm) for coefficient, metric, arm in right))
    if not terms:
        raise _wrong(text, 'it names no arm, e.g. accuracy(B) or cost("arm (2)")')
    return Condition(
        text=text.strip(),
        terms=terms,
        constant=left_constant - right_constant,
        compare=tokens[places[0]][1],
    )


def _tokens(text: str) -> list[tuple[str, str, str]]:
    """Return (kind, value, arm) of each token."""
    found: list[tuple[str, str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(text, f"{text[at : at + 20].strip()!r} cannot be read")
        kind = next(name for name in ("number", "metric", "compare", "sign") if match[name])
        quoted = match["quoted"]
        found.append((kind, match[kind], quoted if quoted is not None else match["arm"] or ""))
        if kind == "metric" and match["metric"] not in METRICS:
            raise _wrong(text, f"there is no metric {match['metric']!r}")
        at = match.end()
    return found


def _sum(
    text: str, tokens: Sequence[tuple[str, str, str]]
) -> tuple[list[tuple[float, str, str]], float]:
    terms: list[tuple[float, str, str]] = []
    constant, place = 0.0, 0
    while place < len(tokens) or place == 0:
        sign = 1.0
        kind, value, arm = tokens[place] if place < len(tokens) else ("", "", "")
        if kind == "sign" and (value == "-" or (value == "+" and place)):
            sign = -1.0 if value == "-" else 1.0
            place += 1
            kind, value, arm = tokens[place] if place < len(tokens) else ("", "", "")
        elif place:
            raise _wrong(text, "a + or - is missing between two terms")
        if kind == "number" and [t[:2] for t in tokens[place + 1 : place + 2]] == [("sign", "*")]:
            sign *= float(value)
            place += 2
            kind, value, arm = tokens[place] if place < len(tokens) else ("", "", "")
            if kind != "metric":
                raise _wrong(text, "after * there must be a metric")
        if kind == "metric":
            terms.append((sign, value, arm))
        elif kind == "number":
            constant += sign * float(value)
        else:
            raise _wrong(text, "a number or a metric is missing")
        place += 1
    return terms, constant


def _wrong(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"{text!r} is no condition: {why}. Write e.g. accuracy(B) < accuracy(A) - 0.02; "
        f"metrics are {', '.join(METRICS)}",
        key="compare.fail_if",
    )


def judge(
    condition: Condition,
    figures: Mapping[str, Mapping[str, float | None]],
    scores: Mapping[str, ScoresByTask],
    tasks: Mapping[str, Mapping[str, TaskFigures]],
    *,
    alpha: float,
    seed: int,
) -> Verdict:
    """Say whether a comparison fails a condition.

    A condition has failed when it holds surely: the whole one-sided interval at 1 - alpha lies on
    its side. It has passed when it surely does not hold; otherwise nobody can tell. Intervals are
    bootstrapped over tasks, of whatever metrics it names.

    Args:
        condition: What to fail on.
        figures: Arm -> metric -> value; None or missing: it has none.
        scores: Arm -> task -> score of each repeat, of the arms that have a score.
        tasks: Arm -> task -> what its episodes came to.
        alpha: Chance of failing for nothing.
        seed: Of the resampling.
    """
    missing = [
        f"{metric}({arm})"
        for _, metric, arm in condition.terms
        if figures.get(arm, {}).get(metric) is None
    ]
    if missing:
        reason = f"there is no {missing[0]}"
        return Verdict(condition=condition.text, outcome="cannot tell", reason=reason)
    if condition.statistical:
        return _judge_accuracies(condition, scores, alpha, seed)
    value = condition.constant + sum(
        coefficient * float(figures[arm][metric] or 0.0)
        for coefficient, metric, arm in condition.terms
    )
    found = sum_interval(condition.terms, tasks, level=1 - 2 * alpha, seed=seed)
    if found is None:
        side = "holds" if condition.holds(value) else "does not hold"
        reason = f"as measured it {side}, but on so few tasks, or answers, that may be chance"
        return Verdict(condition=condition.text, outcome="cannot tell", reason=reason, value=value)
    low, high = (end + condition.constant for end in found[:2])
    return _verdict(condition, value, min(low, value), max(high, value), found[2])


def _judge_accuracies(
    condition: Condition, scores: Mapping[str, ScoresByTask], alpha: float, seed: int
) -> Verdict:
    values = _values(condition, scores)
    if not values:
        reason = "no task is scored by every arm that it names"
        return Verdict(condition=condition.text, outcome="cannot tell", reason=reason)
    bounds = (
        condition.constant + sum(min(c, 0.0) for c, _, _ in condition.terms),
        condition.constant + sum(max(c, 0.0) for c, _, _ in condition.terms),
    )
    low, high = mean_interval(values, level=1 - 2 * alpha, seed=seed, bounds=bounds)
    return _verdict(condition, fmean(values), low, high, len(values))


def _verdict(condition: Condition, value: float, low: float, high: float, tasks: int) -> Verdict:
    """Say whether a condition surely holds, over the whole of an interval."""
    side = "holds" if condition.holds(value) else "does not hold"
    outcome: Judged = "cannot tell"
    reason = f"as measured it {side}, but on {tasks:,} tasks that may be chance"
    if condition.holds(low) == condition.holds(high):
        outcome = "failed" if condition.holds(low) else "passed"
        reason = f"it {side}, surely, on {tasks:,} tasks"
    return Verdict(
        condition=condition.text, outcome=outcome, reason=reason, value=value, low=low, high=high
    )


def _values(condition: Condition, scores: Mapping[str, ScoresByTask]) -> list[float]:
    """Return the sum for each task that every arm named has a score on."""
    means = {arm: task_means(scores[arm]) for arm in condition.arms}
    tasks = set.intersection(*(set(of_arm) for of_arm in means.values()))
    return [
        condition.constant
        + sum(coefficient * means[arm][task] for coefficient, _, arm in condition.terms)
        for task in sorted(tasks)
    ]
