"""One stored run as the views tell it: read once, drawn by the terminal and the HTML report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import ConfigError
from ...engine.events import Verdicts
from ...engine.parameters import Parameters
from ...engine.usage import NO_USAGE, Usage
from ...storage.records import (
    Decision,
    EditRecord,
    Evaluated,
    FunctionUse,
    FunctionVersion,
    RunView,
    SealedTest,
)
from .judges import Judges, judges_of
from .lines import VERBS


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The result of one evaluation."""

    evaluation: str
    version: str
    score: float
    low: float
    high: float
    tasks: int
    failed: int
    usage: Usage = NO_USAGE
    gold: Verdicts | None = None  # with a critic: both judges, whichever gives the score
    critic: Verdicts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditLine:
    """One action of the optimizer."""

    text: str  # "add solve_rate"
    refused: str = ""  # why; empty: applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One proposal and what became of it."""

    step: int
    outcome: str  # accepted, rolled_back, unchanged, void
    reason: str
    incumbent: Parameters  # before the step
    candidate: Parameters
    incumbent_score: float | None
    score: float | None
    verdict: str = ""  # better, not_better, not_enough_evidence; empty: not evaluated
    incumbent_low: float | None = None  # of the incumbent's own score
    incumbent_high: float | None = None
    score_low: float | None = None  # of the candidate's own score
    score_high: float | None = None
    effect: float | None = None
    low: float | None = None  # of the effect
    high: float | None = None
    p_value: float | None = None
    gold: float | None = None  # with a critic: both judges of the candidate
    critic: float | None = None
    episodes: int = 0  # spent on the decision, of both sides
    usage: Usage = NO_USAGE  # of these episodes
    edits: tuple[EditLine, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the candidate became the incumbent."""
        return self.outcome == "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one part of the run used."""

    part: str  # "agent", "optimizer"
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that `show` and the report tell of a run."""

    run_id: str
    kind: str
    name: str
    status: str
    stopped_by: str
    message: str
    created_at_unix_s: float
    seconds: float
    sandbox: str
    seed: int
    config: Mapping[str, Any]
    initial: Parameters
    final: Parameters
    before: Mapping[str, Scored] = field(default_factory=dict)  # split -> first score
    after: Mapping[str, Scored] = field(default_factory=dict)  # split -> of the final parameters
    steps: tuple[Step, ...] = ()
    tests: Mapping[int, Scored] = field(default_factory=dict)  # step -> test score on the way
    uses: Mapping[str, FunctionUse] = field(default_factory=dict)  # final function -> its use
    ledger: tuple[FunctionVersion, ...] = ()  # every version of every function
    costs: tuple[Cost, ...] = ()
    usage: Usage = NO_USAGE
    judges: Judges | None = None  # the critic; None: there is none
    sealed_test: SealedTest | None = None  # before and after, paired on tasks

    @property
    def deciding(self) -> str:
        """The split that proposals were decided on."""
        return deciding_split(self.config)

    def incumbents(self) -> list[float | None]:
        """Return the incumbent's deciding score after each step, the start included."""
        first = self.before.get(self.deciding)
        scores: list[float | None] = [first.score if first else None]
        for step in self.steps:
            scores.append(step.score if step.accepted else scores[-1])
        return scores


def tell(view: RunView) -> Story:
    """Return a stored run as the views tell it."""
    summary, final = view.summary, view.final
    steps = tuple(_step(view, decision) for decision in view.decisions)
    return Story(
        run_id=summary.id,
        kind=summary.kind,
        name=summary.name,
        status=summary.status,
        stopped_by=summary.stopped_by,
        message=summary.message,
        created_at_unix_s=summary.created_at_unix_s,
        seconds=summary.seconds,
        sandbox=summary.sandbox,
        seed=summary.seed,
        config=view.config,
        initial=view.initial,
        final=final,
        before=_sides(summary.before),
        # a run that stopped on the way has not scored its best version on every split
        after={
            split: scored
            for split, scored in _sides(summary.after).items()
            if scored.version == final.version
        },
        steps=steps,
        tests=dict(_tests(view, len(steps))),
        uses=_uses(view),
        ledger=view.ledger,
        costs=tuple(Cost(part=part, usage=usage) for part, usage in view.costs.items()),
        usage=summary.usage,
        judges=judges_of(
            view.critic,
            view.config,
            _deciding(view.config, _sides(summary.before)),
            steps,
            view.divergence,
        ),
        sealed_test=view.sealed_test,
    )


def _deciding(config: Mapping[str, Any], sides: Mapping[str, Scored]) -> Scored | None:
    return sides.get(deciding_split(config))


def deciding_split(config: Mapping[str, Any]) -> str:
    """Return the split that proposals are decided on."""
    training = config.get("training")
    split = training.get("accept_on") if isinstance(training, Mapping) else None
    return split if isinstance(split, str) else "train"


def find_version(story: Story, wanted: str) -> Parameters:
    """Return the version that a person means: start, result, a step's number, or a hash's start.

    Raises:
        ConfigError: There is none, or several.
    """
    if wanted in ("start", "0"):  # the curve begins at step 0
        return story.initial
    if wanted == "result":
        return story.final
    steps = {str(step.step): step.candidate for step in story.steps}
    if wanted in steps:
        return steps[wanted]
    known = {p.version: p for p in (story.initial, story.final, *steps.values())}
    found = [version for version in known if version.startswith(wanted)]
    if len(found) == 1:
        return known[found[0]]
    problem = "several versions begin with" if found else "the run has no version"
    raise ConfigError(
        f"{problem} {wanted!r}; give start, result, a step from 0 to {len(steps)}, or a version: "
        f"{', '.join(list(known)[:8])}"
    )


def _scored(found: Evaluated) -> Scored | None:
    if found.score is None or not math.isfinite(found.score):
        return None  # not finished, or nothing in it was scored
    return Scored(
        evaluation=found.evaluation,
        version=found.version,
        score=found.score,
        low=0.0 if found.low is None else found.low,
        high=1.0 if found.high is None else found.high,
        tasks=found.tasks,
        failed=found.failed,
        usage=found.usage,
        gold=found.gold,
        critic=found.critic,
    )


def _sides(found: Mapping[str, Evaluated]) -> dict[str, Scored]:
    return {split: scored for split, one in found.items() if (scored := _scored(one)) is not None}


def _step(view: RunView, decision: Decision) -> Step:
    nothing = Parameters()
    p_value = decision.details.get("p_value")
    return Step(
        step=decision.step,
        outcome=decision.outcome,
        reason=decision.reason,
        incumbent=view.parameters.get(decision.incumbent_version, nothing),
        candidate=view.parameters.get(decision.candidate_version, nothing),
        incumbent_score=decision.incumbent_score,
        score=decision.score,
        verdict=str(decision.details.get("verdict") or ""),
        incumbent_low=decision.incumbent_low,
        incumbent_high=decision.incumbent_high,
        score_low=decision.score_low,
        score_high=decision.score_high,
        effect=decision.effect,
        low=decision.low,
        high=decision.high,
        p_value=p_value if isinstance(p_value, float) else None,
        gold=decision.gold,
        critic=decision.critic,
        episodes=decision.episodes,
        usage=decision.usage,
        edits=tuple(_edit(edit) for edit in decision.edits),
    )


def _edit(record: EditRecord) -> EditLine:
    edit = record.edit or {}
    function = edit.get("function")
    subject = function.get("name") if isinstance(function, Mapping) else edit.get("name", "")
    verb = VERBS.get(str(edit.get("edit")), "no readable edit")
    which = f"proposal {record.proposal + 1}: " if record.proposal else ""
    return EditLine(text=which + f"{verb} {subject or ''}".strip(), refused=record.refused)


def _tests(view: RunView, steps: int) -> Iterator[tuple[int, Scored]]:
    for one in view.evaluations:
        split, _, name = one.evaluation.partition("/")
        scored = _scored(one)
        if split != "test" or scored is None:
            continue
        if name == "before":
            yield 0, scored
        elif name.partition(".")[0] == "after":
            yield steps, scored  # of several, the last one counts
        elif name.isdigit():
            yield int(name), scored


def _uses(view: RunView) -> dict[str, FunctionUse]:
    by_hash = {use.function_hash: use for use in view.functions}
    return {
        function.name: use
        for function in view.final.functions
        if (use := by_hash.get(function.hash)) is not None
    }
