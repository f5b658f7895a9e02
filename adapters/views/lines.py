"""What is worth a line of its own while a run goes on. Both live views print these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...engine.events import (
    CriticDoubted,
    EditProposed,
    EpisodeFinished,
    EvaluationFinished,
    Event,
    PartTold,
    PromptTrimmed,
    RunFinished,
    RunStarted,
    SealedTestCompared,
    StepDecided,
    StraysDiscarded,
)
from ...engine.parameters import (
    AddDemonstration,
    AddFunction,
    Edit,
    RemoveFunction,
    ReviseFunction,
    SetInstructions,
    SetModel,
)
from .text import duration, estimate, gist, one_line, percent, plural, points, usd

if TYPE_CHECKING:
    from ...storage.records import SealedTest

_WIDTH = 160  # characters of a model's text in a line
UNSAFE_WARNING = "UNSAFE sandbox: code written by a model runs unconfined on this machine"
OUTCOMES = {
    "accepted": "accepted",
    "promising": "promising",
    "rolled_back": "rolled back",
    "unchanged": "unchanged",
    "void": "void",
}


VERBS = {
    "AddFunction": "add",
    "ReviseFunction": "revise",
    "RemoveFunction": "remove",
    "SetInstructions": "set the instructions",
    "AddDemonstration": "show the solution of",
    "SetModel": "use the model",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line for people, with a rich style that plain output ignores."""

    text: str
    style: str = ""


def lines(event: Event, failures: set[str]) -> list[Line]:
    """Return what to print for an event; mostly nothing.

    Args:
        event: What happened.
        failures: Kinds of failure told so far, added to here: each is told once, then counted.
    """
    match event:
        case EpisodeFinished():
            return _first_failure(event, failures)
        case RunStarted():
            return _run_started(event)
        case EvaluationFinished():
            return [_evaluated(event)]
        case EditProposed():
            return [_proposed(event)]
        case PromptTrimmed() if event.messages_cut or event.episodes_left_out:
            cut = plural(event.messages_cut, "message")
            left_out = plural(event.episodes_left_out, "conversation")
            return [Line(f"  prompt: {cut} shortened, {left_out} left out", "dim")]
        case StepDecided():
            return [_decided(event)]
        case CriticDoubted():
            return [_doubted(event)]
        case SealedTestCompared():
            return [Line(f"  {sealed_test(event)}", "bold")]
        case StraysDiscarded():
            return [Line(f"  {plural(event.count, 'stray episode')} discarded", "yellow")]
        case PartTold():
            return [
                Line(f"[{one_line(event.part, 60)}] {line.text.strip()}", line.style)
                for line in lines(event.event, failures)
            ]
        case RunFinished():
            return _run_finished(event)
    return []


def sealed_test(found: SealedTestCompared | SealedTest) -> str:
    """Return the paired comparison of the sealed test, for people."""
    dropped = f", {found.dropped} left out" if found.dropped else ""
    return (
        f"sealed test, paired: {points(found.effect)} [{found.low * 100:+.1f},"
        f" {found.high * 100:+.1f}], p = {found.p_value:.3g} on {plural(found.tasks, 'task')}"
        f" ({found.won} better, {found.lost} worse{dropped})"
    )


def describe(edit: Edit | None) -> str:
    """Return what an edit does, in a few words."""
    if edit is None:
        return "no readable edit"
    return f"{VERBS[type(edit).__name__]} {one_line(_subject(edit), _WIDTH)}".strip()


def _subject(edit: Edit) -> str:
    match edit:
        case AddFunction(function=function) | ReviseFunction(function=function):
            return function.name
        case RemoveFunction(name=name):
            return name
        case AddDemonstration(demonstration=demonstration):
            return demonstration.task_id
        case SetModel(model=model):
            return model
        case SetInstructions():
            return ""


def _first_failure(event: EpisodeFinished, failures: set[str]) -> list[Line]:
    failure = event.episode.failure
    if failure is None or failure.kind in failures:
        return []
    failures.add(failure.kind)
    text = one_line(f"{failure.kind}: {gist(failure.message)}", 2 * _WIDTH)
    return [Line(f"  an episode failed: {text} (more of this kind are only counted)", "yellow")]


def _run_started(event: RunStarted) -> list[Line]:
    verb = "resumed" if event.resumed else "started"
    name = f" ({one_line(event.name, _WIDTH)})" if event.name else ""
    found = [Line(f"run {event.run_id}{name} {verb}, sandbox {event.sandbox}", "bold")]
    if event.sandbox == "unsafe":
        found.append(Line(UNSAFE_WARNING, "bold red"))
    return found


def _evaluated(event: EvaluationFinished) -> Line:
    failed = f", {event.failed} failed" if event.failed else ""
    if event.critic is not None:
        gold = f", gold {percent(event.gold.score)}" if event.gold else ""
        failed = f"{failed} (critic {percent(event.critic.score)}{gold})"
    score = estimate(event.score, event.low, event.high) if event.tasks else "no score"
    return Line(
        f"  {event.evaluation}: {score} on {plural(event.tasks, 'task')}{failed}",
        "yellow" if event.failed else "",
    )


def _doubted(event: CriticDoubted) -> Line:
    scores = f"{event.lowest:.2f} to {event.highest:.2f}"
    told = (
        f"  {event.evaluation}: the critic gave all {event.episodes} episodes about the same score"
    )
    return Line(f"{told} ({scores}): its judgements hold no information", "bold yellow")


def _proposed(event: EditProposed) -> Line:
    what = f"  step {event.step}: {describe(event.edit)}"
    if event.refused:
        return Line(f"{what}: refused: {one_line(event.refused, _WIDTH)}", "yellow")
    return Line(what, "cyan")


def _decided(event: StepDecided) -> Line:
    outcome = OUTCOMES.get(event.outcome, event.outcome)
    scores = ""
    if event.incumbent_score is not None and event.score is not None:
        before = estimate(event.incumbent_score, event.incumbent_low, event.incumbent_high)
        scores = f" {before} → {estimate(event.score, event.score_low, event.score_high)}"
    style = {"accepted": "bold green", "void": "red"}.get(event.outcome, "")
    return Line(f"step {event.step} {outcome}{scores}: {one_line(event.reason, _WIDTH)}", style)


def _run_finished(event: RunFinished) -> list[Line]:
    usage = event.usage
    spent = f"{plural(usage.calls, 'call')}, {usage.tokens:,} tokens, {usd(usage.cost_usd)}"
    reason = f": {one_line(gist(event.message), 400)}" if event.message else ""
    style = {"done": "bold green", "failed": "bold red"}.get(event.status, "bold yellow")
    took = f"{spent}, {duration(event.seconds)}"
    cause = f" ({event.stopped_by})" if event.stopped_by not in ("", event.status) else ""
    return [Line(f"{event.status}{cause}{reason}; {took}", style)]
