"""A comparison in words and as JSON: what every view of it says the same way."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ....engine.contrast import Contrast
from ....engine.usage import Usage
from ..story import Scored
from ..text import duration, estimate, percent, points
from .lessons import LessonStory
from .story import ArmStory, ComparisonStory
from .transfer import TransferCell, by_category, transfer

NOT_STREAMED = "not streamed"  # the calls waited for the whole reply: no first token to time


def comparison_json(story: ComparisonStory) -> dict[str, Any]:
    """Return what `compare --json` prints. Keys are documented in the README."""
    return {
        "run_id": story.run.run_id,
        "kind": "compare",
        "status": story.run.status,
        "stopped_by": story.run.stopped_by,
        "message": story.run.message,
        "tasks": story.tasks,
        "repeats": story.repeats,
        "alpha": story.alpha,
        "arms": [arm_json(arm) for arm in story.arms],
        "pairs": [asdict(pair) for pair in story.pairs],
        "trainings": [lesson_json(lesson) for lesson in story.lessons],
        "transfer": [asdict(cell) for cell in transfer(story)],
        "by_category": [asdict(cell) for cell in by_category(story)],
        "gate": {
            "failed": story.gate_failed,
            "strict": story.strict,
            "conditions": [asdict(one) for one in story.gate],
        },
        "usage": usage_json(story.usage),
        "seconds": story.run.seconds,
        "sandbox": story.run.sandbox,
    }


def arm_json(arm: ArmStory) -> dict[str, Any]:
    """Return one arm."""
    estimate, spent = arm.estimate, arm.efficiency
    p50, p95, p99 = spent.latency_s or (None, None, None)
    return {
        "name": arm.name,
        "model": arm.model,
        "parameters": arm.learned or "untrained",
        "parameters_version": arm.parameters.version,
        "functions": [function.name for function in arm.parameters.functions],
        "state": arm.state,
        "score": estimate.score if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
        "tasks": estimate.tasks if estimate else 0,
        "planned": arm.planned,
        "episodes": arm.scored,
        "failed": arm.failed,
        "errors": dict(arm.errors),
        "usage": usage_json(spent.usage),
        "priced": spent.priced,
        "usd_per_task": spent.usd_per_task,
        "usd_per_solved": spent.usd_per_solved,
        "tokens_per_task": spent.tokens_per_task,
        "tokens_per_solved": spent.tokens_per_solved,
        "cached_share": spent.cached_share,
        "discount_usd": spent.discount_usd,
        "latency_s": {"p50": p50, "p95": p95, "p99": p99},
        "first_token_s": {"p50": spent.first_token_s[0], "p95": spent.first_token_s[1]}
        if spent.first_token_s
        else None,
        "retries": spent.retries,
        "busy_s": spent.busy_s,
        "calls_per_minute": spent.calls_per_minute,
        "tokens_per_minute": spent.tokens_per_minute,
        "best_for_cost": arm.best_for_cost,
        "best_for_latency": arm.best_for_latency,
    }


def lesson_json(lesson: LessonStory) -> dict[str, Any]:
    """Return one training."""
    before, after = lesson.before, lesson.after
    return {
        "name": lesson.name,
        "model": lesson.model,
        "categories": list(lesson.categories),
        "run_id": lesson.run_id,
        "status": lesson.status,
        "message": lesson.message,
        "steps": lesson.steps,
        "accepted": lesson.accepted,
        "functions": list(lesson.functions),
        "before": before.score if before else None,
        "after": after.score if after else None,
        "usage": usage_json(lesson.usage),
        "seconds": lesson.seconds,
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return what was used."""
    return {
        "calls": usage.calls,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "cost_usd": usage.cost_usd,
    }


def accuracy(arm: ArmStory) -> str:
    """Spell an arm's accuracy with its interval, or why it has none."""
    if arm.estimate is None:
        return arm.state
    interval = f"[{arm.estimate.low * 100:.1f}, {arm.estimate.high * 100:.1f}]"
    return f"{percent(arm.estimate.score)} {interval}"


def difference(pair: Contrast) -> str:
    """Spell a paired difference with its interval."""
    if not pair.tasks:
        return "–"
    return f"{points(pair.difference)} [{pair.low * 100:+.1f}, {pair.high * 100:+.1f}]"


def verdict(pair: Contrast) -> str:
    """Say in a sentence which arm is better, or what it would take to tell."""
    if not pair.tasks:
        return f"cannot tell {pair.a} and {pair.b} apart: no task is scored on both sides"
    if pair.verdict != "cannot tell":
        better, worse = (pair.b, pair.a) if pair.verdict == "better" else (pair.a, pair.b)
        return f"{better} is better than {worse}"
    if pair.tasks_to_tell is None:
        return "cannot tell: no difference was seen"
    return f"cannot tell: a difference this small takes about {pair.tasks_to_tell:,} tasks"


def p_value(value: float) -> str:
    """Spell a p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def money(amount: float | None) -> str:
    """Spell USD with digits enough for a single call."""
    if amount is None:
        return "–"
    return "0" if amount == 0 else f"{amount:.4g}"


def count(number: float | None) -> str:
    """Spell a number of things that need not be whole."""
    return "–" if number is None else f"{number:,.0f}"


def seconds(value: float | None) -> str:
    """Spell a time span, or that there is none."""
    return "–" if value is None else duration(value)


def scored(found: Scored | None) -> str:
    """Spell a score with its interval, or that there is none."""
    return "–" if found is None else estimate(found.score, found.low, found.high)


def first_token(found: tuple[float, float] | None) -> str:
    """Spell p50 and p95 of the time to the first token."""
    return NOT_STREAMED if found is None else " / ".join(map(duration, found))


def errors(arm: ArmStory) -> str:
    """Spell the failed episodes by kind."""
    return ", ".join(f"{kind} {number:,}" for kind, number in arm.errors.items()) or "none"


def gain(cell: TransferCell) -> str:
    """Spell a cell of a transfer matrix."""
    if not cell.tasks:
        return "–"
    if cell.gain is None or cell.gain_low is None or cell.gain_high is None:
        return f"{percent(cell.score)} [{cell.low * 100:.1f}, {cell.high * 100:.1f}]"
    sure = " *" * cell.sure + " °" * cell.home
    interval = f"[{cell.gain_low * 100:+.1f}, {cell.gain_high * 100:+.1f}]"
    return f"{percent(cell.score)}, {points(cell.gain)} {interval}{sure}"
