"""The tables of a comparison, as rows of text: the terminal, Markdown and CSV print the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..text import plural
from .story import ArmStory, ComparisonStory
from .told import (
    accuracy,
    count,
    difference,
    errors,
    first_token,
    gain,
    money,
    p_value,
    scored,
    seconds,
    verdict,
)
from .transfer import TransferCell, by_category, transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text; every cell is untrusted."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    # of each cell, where the table is a matrix: what a heat map shows, in [-1, 1]; None: nothing
    heat: tuple[tuple[float | None, ...], ...] = ()


def tables(story: ComparisonStory) -> Iterator[Table]:
    """Return the tables, the most asked-for first."""
    yield _accuracies(story)
    if story.pairs:
        yield _differences(story)
    yield from matrices(story)
    if story.lessons:
        yield _lessons(story)
    yield _money(story)
    yield _time(story)
    if story.gate:
        yield _gate(story)


def matrices(story: ComparisonStory) -> Iterator[Table]:
    """Return what was learned against where it is used: over models, and over categories."""
    marks = "* told from none (Holm over the matrix)"
    if any(cell.home for cell in (*transfer(story), *by_category(story))):
        marks += "; ° learned here"
    cells = transfer(story)
    if cells:
        yield _matrix(
            "Transfer",
            f"gain over untrained on the same model; the first row is untrained itself; {marks}",
            [(cell.learned or "untrained", cell.model, cell) for cell in cells],
        )
    by_kind = by_category(story)
    turned = len({cell.category for cell in by_kind}) > len(story.arms)  # the longer side goes down
    if by_kind:
        yield _matrix(
            "Categories",
            f"accuracy, and the gain over untrained on the same model; {marks}",
            [
                (cell.category, cell.arm, cell) if turned else (cell.arm, cell.category, cell)
                for cell in by_kind
            ],
        )


def _lessons(story: ComparisonStory) -> Table:
    return Table(
        title="Trainings",
        note=(
            "runs of their own: `funcforge show` tells all of them; before and after on the tasks "
            "that their steps were decided on"
        ),
        head=("learned", "model", "tasks of", "run", "state", "steps", "accepted", "functions",
              "before", "after", "calls", "USD", "time"),
        rows=tuple(
            (
                lesson.name,
                lesson.model,
                ", ".join(lesson.categories) or "all",
                lesson.run_id,
                lesson.status,
                f"{lesson.steps:,}",
                f"{lesson.accepted:,}",
                f"{len(lesson.functions):,}",
                scored(lesson.before),
                scored(lesson.after),
                f"{lesson.usage.calls:,}",
                money(lesson.usage.cost_usd),
                seconds(lesson.seconds),
            )
            for lesson in story.lessons
        ),
    )  # fmt: skip


def _matrix(title: str, note: str, cells: list[tuple[str, str, TransferCell]]) -> Table:
    columns = list(dict.fromkeys(column for _, column, _ in cells))
    rows: dict[str, dict[str, TransferCell]] = {}
    for row, column, cell in cells:
        rows.setdefault(row, {})[column] = cell
    return Table(
        title=title,
        note=note,
        head=("", *columns),
        rows=tuple(
            (row, *(gain(found[c]) if c in found else "–" for c in columns))
            for row, found in rows.items()
        ),
        heat=tuple(
            (None, *(found[c].gain if c in found else None for c in columns))
            for found in rows.values()
        ),
    )


def _gate(story: ComparisonStory) -> Table:
    strict = "; where it cannot tell it fails too" if story.strict else ""
    return Table(
        title="Gate",
        note=f"fails when a condition surely holds, at {100 * (1 - story.alpha):g} %{strict}",
        head=("fail if", "outcome", "reason"),
        rows=tuple((one.condition, one.outcome, one.reason) for one in story.gate),
    )


def _accuracies(story: ComparisonStory) -> Table:
    return Table(
        title="Accuracy",
        note=f"with {100 * (1 - story.alpha):g} % intervals, clustered by task",
        head=("arm", "model", "parameters", "accuracy", "tasks", "episodes", "failed", "errors"),
        rows=tuple(
            (
                arm.name,
                arm.model,
                arm.learned or "untrained",
                accuracy(arm),
                count(arm.estimate.tasks if arm.estimate else 0),
                f"{arm.scored:,} of {arm.planned:,}",
                f"{arm.failed:,}",
                errors(arm),
            )
            for arm in story.arms
        ),
    )


def _differences(story: ComparisonStory) -> Table:
    return Table(
        title="Differences",
        note=(
            "B minus A on the same tasks; p-values corrected for "
            f"{plural(len(story.pairs), 'pair')} (Holm), intervals not"
        ),
        head=("A", "B", "B - A", "p", "p (Holm)", "test", "tasks", "dropped", "verdict"),
        rows=tuple(
            (
                pair.a,
                pair.b,
                difference(pair),
                p_value(pair.p_value),
                p_value(pair.p_holm),
                pair.test,
                f"{pair.tasks:,}",
                f"{pair.dropped:,}",
                verdict(pair),
            )
            for pair in story.pairs
        ),
    )


def _money(story: ComparisonStory) -> Table:
    return Table(
        title="Money",
        note="in USD, for all that was paid, failed episodes included; a task once is an episode",
        head=("arm", "USD", "USD/task", "USD/solved", "tokens/task", "tokens/solved",
              "cached", "discount", "Pareto"),
        rows=tuple(_money_row(arm) for arm in story.arms),
    )  # fmt: skip


def _money_row(arm: ArmStory) -> tuple[str, ...]:
    spent = arm.efficiency
    share = "–" if spent.cached_share is None else f"{spent.cached_share * 100:.1f} %"
    return (
        arm.name,
        money(spent.usage.cost_usd) if spent.priced else "no price",
        money(spent.usd_per_task),
        money(spent.usd_per_solved),
        count(spent.tokens_per_task),
        count(spent.tokens_per_solved),
        share,
        money(spent.discount_usd),
        "best" if arm.best_for_cost else "",
    )


def _time(story: ComparisonStory) -> Table:
    return Table(
        title="Time",
        note="of one answered call; throughput while a call was under way",
        head=("arm", "p50", "p95", "p99", "first token p50 / p95", "calls/min",
              "tokens/min", "retries", "Pareto"),
        rows=tuple(_time_row(arm) for arm in story.arms),
    )  # fmt: skip


def _time_row(arm: ArmStory) -> tuple[str, ...]:
    spent = arm.efficiency
    p50, p95, p99 = spent.latency_s or (None, None, None)
    return (
        arm.name,
        seconds(p50),
        seconds(p95),
        seconds(p99),
        first_token(spent.first_token_s),
        count(spent.calls_per_minute),
        count(spent.tokens_per_minute),
        f"{spent.retries:,}",
        "best" if arm.best_for_latency else "",
    )
