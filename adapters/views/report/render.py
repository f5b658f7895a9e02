"""Fills the report's template. Every text in it is untrusted and escaped by the template engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

from ....engine.functions import Function
from ....storage.records import FunctionUse
from .. import text
from ..diff import Changed, changes, function_text
from ..judges import figures
from ..ledger import COLUMNS, ledger_rows
from ..lines import OUTCOMES, UNSAFE_WARNING, sealed_test
from ..story import Scored, Step, Story
from .plot import plot


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCard:
    """A step with what it changed."""

    step: Step
    outcome: str
    changes: list[Changed]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRow:
    """A function of the result with its use."""

    function: Function
    source: str
    use: FunctionUse | None  # None: never called


def render_report(story: Story) -> str:
    """Return the report as one HTML document."""
    from jinja2 import Environment, StrictUndefined  # 0.1 s: only where a report is written

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=text.percent, points=text.points, estimate=text.estimate,
        usd=text.usd, duration=text.duration, plural=text.plural,
        printable=lambda value: text.printable(value, keep="\n\t"),
    )  # fmt: skip
    folder = resources.files(__package__)
    template = environment.from_string(folder.joinpath("report.html").read_text("utf-8"))
    html = template.render(
        story=story,
        style=folder.joinpath("report.css").read_text("utf-8"),
        plot=plot(story),
        tiles=_tiles(story),
        splits=_splits(story),
        sealed_test=sealed_test(story.sealed_test) if story.sealed_test else "",
        cards=[_card(step) for step in story.steps],
        functions=_functions(story),
        ledger=ledger_rows(story.ledger),
        ledger_columns=COLUMNS,
        config=json.dumps(story.config, indent=2, ensure_ascii=False),
        started=_date(story.created_at_unix_s),
        judge_figures=figures(story.judges.reliability) if story.judges else [],
        unsafe=UNSAFE_WARNING if story.sandbox == "unsafe" else "",
    )
    return html.encode("utf-8", "replace").decode("utf-8")


def _tiles(story: Story) -> list[tuple[str, str, str]]:
    """Return (label, value, detail) of the figures on top."""
    found = []
    for split, label in (("test", "sealed test"), (story.deciding, story.deciding)):
        before, after = story.before.get(split), story.after.get(split)
        if after is not None:
            spelt = text.estimate(before.score, before.low, before.high) if before else ""
            detail = ", ".join(
                part
                for part in (
                    text.bounds(after.low, after.high),
                    f"from {spelt}" if spelt else "",
                    text.plural(after.tasks, "task"),
                )
                if part
            )
            found.append((label, text.percent(after.score), detail))
    accepted = sum(step.accepted for step in story.steps)
    if story.kind == "train":
        steps = text.plural(len(story.steps), "step")
        found.append(("accepted", str(accepted), f"of {steps}"))
    usage = story.usage
    found.append(("cost", text.usd(usage.cost_usd), f"{usage.tokens:,} tokens"))
    found.append(("time", text.duration(story.seconds), text.plural(usage.calls, "model call")))
    return found


def _splits(story: Story) -> list[tuple[str, Scored | None, Scored | None]]:
    names = [
        name
        for name in ("train", "validation", "test")
        if name in story.before or name in story.after
    ]
    return [(name, story.before.get(name), story.after.get(name)) for name in names]


def _card(step: Step) -> StepCard:
    return StepCard(
        step=step,
        outcome=OUTCOMES.get(step.outcome, step.outcome),
        changes=changes(step.incumbent, step.candidate),
    )


def _functions(story: Story) -> list[FunctionRow]:
    return [
        FunctionRow(
            function=function,
            source=function_text(function),
            use=story.uses.get(function.name),
        )
        for function in story.final.functions
    ]


def _date(at_unix_s: float) -> str:
    return datetime.fromtimestamp(at_unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
