"""A finished or stopped run in short: as the JSON contract, and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..views.judges import judges_json
from ..views.lines import UNSAFE_WARNING, sealed_test
from ..views.story import Scored, Step, Story
from ..views.text import duration, estimate, one_line, plural, usd
from .output import say, usage_json
from .stored import DEFAULT

SPLITS = ("train", "validation", "test")


def run_json(story: Story) -> dict[str, Any]:
    """Return what `train --json` prints; DESIGN's contract, with a few keys more."""
    return {
        "run_id": story.run_id,
        "status": story.status,
        "stopped_by": story.stopped_by,
        "message": story.message,
        "before": _side(story.before),
        "after": _side(story.after),
        "decisions": [
            {
                "step": step.step,
                "outcome": step.outcome,
                "reason": step.reason,
                "score": step.score,
                **decision_json(step),
            }
            for step in story.steps
        ],
        "sealed_test": asdict(story.sealed_test) if story.sealed_test else None,
        "functions": [function.name for function in story.final.functions],
        "parameters_version": story.final.version,
        "critic": judges_json(story),
        "usage": usage_json(story.usage),
        "seconds": story.seconds,
        "sandbox": story.sandbox,
    }


def decision_json(step: Step) -> dict[str, Any]:
    """Return what the verdict on a proposal rests on, and what it cost."""
    return {
        "verdict": step.verdict or None,
        "low": step.score_low,
        "high": step.score_high,
        "incumbent": {
            "score": step.incumbent_score,
            "low": step.incumbent_low,
            "high": step.incumbent_high,
        },
        "effect": {"points": step.effect, "low": step.low, "high": step.high},
        "p_value": step.p_value,
        "episodes": step.episodes,
        "usage": usage_json(step.usage),
    }


def evaluation_json(story: Story) -> dict[str, Any]:
    """Return what `evaluate --json` prints."""
    scored = next(iter(story.after.values()), None)
    return {
        "run_id": story.run_id,
        "status": story.status,
        "stopped_by": story.stopped_by,
        "message": story.message,
        **(scored_json(scored) or dict.fromkeys(("score", "low", "high", "tasks", "failed"))),
        "parameters_version": story.final.version,
        "critic": judges_json(story),
        "usage": usage_json(story.usage),
        "seconds": story.seconds,
        "sandbox": story.sandbox,
    }


def scored_json(scored: Scored | None) -> dict[str, Any] | None:
    """Return one score as the contract spells it."""
    if scored is None:
        return None
    return {
        "score": scored.score,
        "low": scored.low,
        "high": scored.high,
        "tasks": scored.tasks,
        "failed": scored.failed,
    }


def say_summary(story: Story, store: str) -> None:
    """Print the result for people, and what to do next."""
    say()
    if story.sandbox == "unsafe":
        say(UNSAFE_WARNING, style="bold red")
    for split in SPLITS:
        before, after = story.before.get(split), story.after.get(split)
        if before or after:
            say(f"  {split:<11}{change(before, after)}", style="bold" if split == "test" else "")
    if story.sealed_test is not None:
        say(f"  {sealed_test(story.sealed_test)}", style="bold")
    if story.kind == "train":
        names = ", ".join(one_line(function.name, 60) for function in story.final.functions)
        say(f"  {'functions':<11}{names or 'none'}")
    for warning in story.judges.warnings if story.judges else ():
        say(f"  {'critic':<11}{warning}", style="bold yellow")
    usage = story.usage
    spent = f"{plural(usage.calls, 'call')}, {usage.tokens:,} tokens, {usd(usage.cost_usd)}"
    say(f"  {'spent':<11}{spent}, {duration(story.seconds)}")
    say()
    usual = Path(DEFAULT).resolve() == Path(store).resolve()
    option = "" if usual else f" --store {store}"
    verb = "show" if story.status == "done" else "resume"
    say(f"funcforge {verb} {story.run_id}{option}", style="cyan")


def _side(side: Mapping[str, Scored]) -> dict[str, Any]:
    return {split: scored_json(side.get(split)) for split in SPLITS}


def change(before: Scored | None, after: Scored | None) -> str:
    """Spell a score before and after, each with its interval."""
    if before is not None and after is None:
        return f"{_spell(before)}, before"
    if before is None or after is None or before.evaluation == after.evaluation:
        scored = after or before
        assert scored is not None
        return _spell(scored)
    return f"{estimate(before.score, before.low, before.high)} → {_spell(after)}"


def _spell(scored: Scored) -> str:
    failed = f", {scored.failed} failed" if scored.failed else ""
    score = estimate(scored.score, scored.low, scored.high)
    return f"{score} on {plural(scored.tasks, 'task')}{failed}"
