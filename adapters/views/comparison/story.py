"""A stored comparison as the views tell it: every figure, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ....engine.arm import arm_of, evaluation_of
from ....engine.contrast import Contrast, contrasts
from ....engine.gate import Verdict, judge, parse
from ....engine.parameters import Parameters
from ....engine.resampling import TaskFigures
from ....engine.statistics import Estimate, interval
from ....engine.usage import Usage
from ....storage.outcomes import AnsweredCall, Outcome, OutcomeReader
from ....storage.records import RunView
from ...models.resolution import LOCAL
from ..story import Story, tell
from .efficiency import Efficiency, efficiency
from .lessons import LessonStory, read_lessons

Scores = Mapping[str, Sequence[float | None]]
"""Task id -> the score of each repeat; None: failed, or not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStory:
    """One arm and what became of it."""

    name: str
    model: str
    learned: str  # where its parameters come from; empty: untrained
    parameters: Parameters
    planned: int  # episodes
    scored: int
    failed: int
    finished: bool  # False: void, or the run stopped before its end
    stopped: bool = False  # the run paused, was interrupted, or still goes on
    estimate: Estimate | None  # None: it has no score that means anything
    errors: Mapping[str, int] = field(default_factory=dict)  # kind of failure -> episodes
    examples: Mapping[str, str] = field(default_factory=dict)  # kind -> one message
    efficiency: Efficiency
    best_for_cost: bool = False  # on the Pareto front of accuracy against cost
    best_for_latency: bool = False

    @property
    def evaluation(self) -> str:
        """The name of its evaluation."""
        return evaluation_of(self.name)

    @property
    def state(self) -> str:
        """In a word or two: done, void, stopped on the way, or not run at all."""
        if self.finished:
            return "done"
        if not self.planned:
            return "not run"
        return "stopped" if self.stopped or not self.failed else "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonStory:
    """Everything that is told of a comparison."""

    run: Story
    alpha: float
    repeats: int
    tasks: int
    arms: tuple[ArmStory, ...]
    pairs: tuple[Contrast, ...]  # of the arms that are finished
    scores: Mapping[str, Scores]  # arm -> its scores, whatever became of it
    categories: Mapping[str, str]  # task id -> category; empty: the tasks have none
    gate: tuple[Verdict, ...] = ()  # one per condition of the config
    strict: bool = False  # whether the gate fails where it cannot tell
    lessons: tuple[LessonStory, ...] = ()  # what it learned itself

    @property
    def usage(self) -> Usage:
        """What all of it used, the trainings included."""
        return sum((lesson.usage for lesson in self.lessons), self.run.usage)

    @property
    def gate_failed(self) -> bool:
        """Whether a condition of the regression gate failed."""
        bad = {"failed", "cannot tell"} if self.strict else {"failed"}
        return any(verdict.outcome in bad for verdict in self.gate)

    def arm(self, name: str) -> ArmStory:
        """Return the arm of a name.

        Raises:
            KeyError: There is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)


def read_comparison(view: RunView, path: str | Path) -> ComparisonStory:
    """Return a stored comparison with all its figures.

    Args:
        view: The run as the reader of runs gives it.
        path: Its database.

    Raises:
        StoreError: The database cannot be read.
    """
    story = tell(view)
    compare = _table(story.config.get("compare"))
    repeats = int(compare.get("repeats", 1))
    alpha = float(compare.get("alpha", 0.05))
    with OutcomeReader(path) as reader:
        outcomes = list(reader.outcomes(story.run_id))
        calls: dict[str, list[AnsweredCall]] = {}
        for call in reader.calls(story.run_id):
            calls.setdefault(arm_of(call.evaluation), []).append(call)
        for name, source in _recorded(compare).items():
            calls[name] = _calls_of(reader, source)
        categories = _categories(reader.metadata(story.run_id))
        examples = reader.failures(story.run_id)
    scores = _scores(outcomes, repeats)
    sources = _sources(compare)
    arms = []
    for one in view.evaluations:
        name = arm_of(one.evaluation)
        parameters = view.parameters.get(one.version, Parameters())
        mine = [outcome for outcome in outcomes if outcome.evaluation == one.evaluation]
        arms.append(
            _arm(
                name,
                parameters,
                learned=sources.get(name, ""),
                planned=one.planned or 0,
                finished=one.score is not None,
                stopped=story.status in ("paused", "interrupted", "running"),
                alpha=alpha,
                outcomes=mine,
                scores=scores.get(name, {}),
                calls=calls.get(name, []),
                priced=_priced(story.config, parameters.model or "", calls.get(name, [])),
                examples={
                    kind: text for (at, kind), text in examples.items() if at == one.evaluation
                },
            )
        )
    begun = {arm.name for arm in arms}
    arms += [_not_run(name, source) for name, source in sources.items() if name not in begun]
    arms.sort(key=lambda arm: _place(arm.name, sources))
    finished = {arm.name: scores[arm.name] for arm in arms if arm.finished}
    figures = {arm.name: _figures(arm) for arm in arms}
    tasks: dict[str, dict[str, TaskFigures]] = {}
    if compare.get("fail_if"):
        names = [arm.name for arm in arms]
        tasks = {name: _by_task(name, outcomes, calls.get(name, ())) for name in names}
    return ComparisonStory(
        run=story,
        alpha=alpha,
        repeats=repeats,
        tasks=len({outcome.task_id for outcome in outcomes}),
        arms=_on_the_front(arms),
        pairs=contrasts(finished, alpha=alpha, seed=story.seed),
        scores=scores,
        categories=categories,
        gate=tuple(
            judge(parse(text), figures, finished, tasks, alpha=alpha, seed=story.seed)
            for text in compare.get("fail_if", ())
        ),
        strict=bool(compare.get("strict", False)),
        lessons=read_lessons(story, path),
    )


def _recorded(compare: Mapping[str, Any]) -> dict[str, str]:
    """Return arm -> RUN, or RUN/ARM, that its episodes were taken from."""
    arms = compare.get("arms", ())
    return {str(arm["name"]): str(arm["recorded"]) for arm in arms if arm.get("recorded")}


def _calls_of(reader: OutcomeReader, source: str) -> list[AnsweredCall]:
    """Return the calls of a recorded arm, which an earlier run paid for."""
    run, _, arm = source.partition("/")
    return [call for call in reader.calls(run) if not arm or call.evaluation == evaluation_of(arm)]


def _by_task(
    arm: str, outcomes: Sequence[Outcome], calls: Sequence[AnsweredCall]
) -> dict[str, TaskFigures]:
    """Return what an arm's episodes of each task came to."""
    ended: dict[str, list[float | None]] = {}
    for outcome in outcomes:
        if arm_of(outcome.evaluation) == arm:
            ended.setdefault(outcome.task_id, []).append(outcome.score)
    asked: dict[str, list[AnsweredCall]] = {}
    for call in calls:
        asked.setdefault(call.task_id, []).append(call)
    found = {}
    for task, scores in ended.items():
        scored, mine = [score for score in scores if score is not None], asked.get(task, [])
        found[task] = TaskFigures(
            accuracy=fmean(scored) if scored else None,
            scored=len(scored),
            solved=sum(score >= 1.0 for score in scored),
            failed=len(scores) - len(scored),
            cost_usd=sum(call.usage.cost_usd for call in mine),
            tokens=sum(call.usage.tokens for call in mine),
            latencies_s=tuple(call.latency_s for call in mine if call.usage.calls),
        )
    return found


def _figures(arm: ArmStory) -> dict[str, float | None]:
    """Return what the regression gate may ask for: see `engine.gate.METRICS`."""
    spent, ended = arm.efficiency, arm.scored + arm.failed
    p50, p95, p99 = spent.latency_s or (None, None, None)
    return {
        "accuracy": arm.estimate.score if arm.estimate else None,
        "cost": spent.usd_per_task,
        "cost_per_solved": spent.usd_per_solved,
        "tokens": spent.tokens_per_task,
        "latency_p50": p50,
        "latency_p95": p95,
        "latency_p99": p99,
        "failed": arm.failed / ended if ended else None,
    }


def _arm(
    name: str,
    parameters: Parameters,
    *,
    learned: str,
    planned: int,
    finished: bool,
    stopped: bool,
    alpha: float,
    outcomes: Sequence[Outcome],
    scores: Scores,
    calls: Sequence[AnsweredCall],
    priced: bool,
    examples: Mapping[str, str],
) -> ArmStory:
    scored = [outcome.score for outcome in outcomes if outcome.score is not None]
    errors: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.failure is not None:
            errors[outcome.failure] = errors.get(outcome.failure, 0) + 1
    return ArmStory(
        name=name,
        model=parameters.model or "",
        learned=learned,
        parameters=parameters,
        planned=planned,
        scored=len(scored),
        failed=len(outcomes) - len(scored),
        finished=finished,
        stopped=stopped,
        estimate=interval(scores, 1 - alpha) if finished else None,
        errors=dict(sorted(errors.items())),
        examples=examples,
        efficiency=efficiency(
            calls,
            scored=len(scored),
            solved=sum(score >= 1.0 for score in scored),
            priced=priced,
        ),
    )


def _not_run(name: str, learned: str) -> ArmStory:
    """Return an arm that never began: the run stopped before, or its lesson failed."""
    return ArmStory(
        name=name,
        model=name.partition(" + ")[0],
        learned=learned,
        parameters=Parameters(),
        planned=0,
        scored=0,
        failed=0,
        finished=False,
        estimate=None,
        efficiency=efficiency((), scored=0, solved=0),
    )


def _priced(config: Mapping[str, Any], model: str, calls: Sequence[AnsweredCall]) -> bool:
    """Whether a cost of nothing is the truth: the model runs here, or its price was set."""
    if not calls or any(call.usage.cost_pusd for call in calls):
        return True
    said = _table(_table(config.get("models")).get(model))
    return model.partition("/")[0] in LOCAL or said.get("prompt_usd_per_million") is not None


def _scores(outcomes: Sequence[Outcome], repeats: int) -> dict[str, dict[str, list[float | None]]]:
    found: dict[str, dict[str, list[float | None]]] = {}
    for outcome in outcomes:
        tasks = found.setdefault(arm_of(outcome.evaluation), {})
        row = tasks.setdefault(outcome.task_id, [None] * repeats)
        if outcome.repeat < repeats:
            row[outcome.repeat] = outcome.score
    return found


def _categories(metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the category of each task, where every task has one and there are several."""
    found = {task: row.get("category") for task, row in metadata.items()}
    kinds = set(found.values())
    if None in kinds or len(kinds) < 2:
        return {}
    return {task: str(category) for task, category in found.items()}


def _sources(compare: Mapping[str, Any]) -> dict[str, str]:
    """Return arm -> where its parameters come from, in the order of the config."""
    from ...config.sections import arm_name, lesson_name

    def source(arm: Mapping[str, Any]) -> str:
        return str(arm.get("trained") or _table(arm.get("parameters")).get("source", ""))

    found = {
        str(arm["name"]): f"recorded {arm['recorded']}" if arm.get("recorded") else source(arm)
        for arm in compare.get("arms", ())
    }
    for model in compare.get("models", ()):
        found[arm_name(model, None)] = ""
        sets = [*compare.get("learned", ()), *compare.get("trained", ())]
        names = [str(one["name"]) for one in sets]
        names += map(lesson_name, compare.get("models", ()) if compare.get("train") else ())
        for name in names:
            found[arm_name(model, name)] = name
    return found


def _place(name: str, sources: Mapping[str, str]) -> int:
    names = list(sources)
    return names.index(name) if name in sources else len(names)


def _on_the_front(arms: Sequence[ArmStory]) -> tuple[ArmStory, ...]:
    """Mark the arms that no other beats in accuracy without being dearer, or slower."""
    costs = {arm.name: arm.efficiency.usd_per_task for arm in arms}
    times = {arm.name: (arm.efficiency.latency_s or (None,))[0] for arm in arms}
    by_cost, by_time = _front(arms, costs), _front(arms, times)
    return tuple(
        replace(arm, best_for_cost=arm.name in by_cost, best_for_latency=arm.name in by_time)
        for arm in arms
    )


def _front(arms: Sequence[ArmStory], prices: Mapping[str, float | None]) -> set[str]:
    points = [
        (arm.name, arm.estimate.score, price)
        for arm in arms
        if arm.estimate is not None and (price := prices[arm.name]) is not None
    ]
    return {
        name
        for name, score, price in points
        if not any(
            other >= score and cheap <= price and (other > score or cheap < price)
            for _, other, cheap in points
        )
    }


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
