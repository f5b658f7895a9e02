"""A table as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from ..views.text import one_line, usd
from .plan import Plan
from .rows import Result, Row, Spread

COLUMNS = (
    "run", "seed", "train_before", "train_after", "test_before", "test_after", "test_low",
    "test_high", "test_tasks", "test_failed", "steps", "accepted", "functions", "complexity",
    "function_calls", "model_calls", "prompt_tokens", "completion_tokens", "cost_usd", "seconds",
)  # fmt: skip


def markdown(plan: Plan, rows: Sequence[Row], *, figure: str, made: str) -> str:
    """Return the page.

    Args:
        plan: The table.
        rows: Its results so far.
        figure: The figure's file, seen from the page.
        made: When, where and by which command it was made.
    """
    lines = [f"# {one_line(plan.name, 200)}", "", made, ""]
    if plan.note:
        lines += [plan.note.strip(), ""]
    missing = sum(row.planned - len(row.results) for row in rows) + _rows_missing(plan, rows)
    if missing:
        lines += [f"**Not finished: {missing} of {len(plan.jobs)} runs are missing.**", ""]
    lines += [*_table(plan, rows), "", f"![{one_line(plan.name, 200)}]({figure})", ""]
    lines += [
        "Scores in %, mean over the seeds ± sample standard deviation; a single seed has its own "
        "95 % interval instead. The test tasks are sealed: scored before and after, never learned "
        "from. Calls, tokens and cost are those of all seeds together, the optimizer's included.",
        "",
        *_curves(rows),
        "## Run by run",
        "",
        *_runs(plan, rows),
    ]
    return "\n".join(lines).rstrip() + "\n"


def as_csv(plan: Plan, rows: Sequence[Row]) -> str:
    """Return one line for each run."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*plan.axes, *COLUMNS, *(f"transfer: {name}" for name in plan.transfers)])
    for row in rows:
        for result in row.results:
            writer.writerow([*row.labels, *_cells(plan, result)])
    return out.getvalue()


def _rows_missing(plan: Plan, rows: Sequence[Row]) -> int:
    begun = {row.labels for row in rows}
    return sum(job.labels not in begun for job in plan.jobs)


def _table(plan: Plan, rows: Sequence[Row]) -> Iterator[str]:
    yield _line(
        *plan.axes, "seeds", "train before → after", "test before → after", "change on test",
        *(f"transfer: {name}" for name in plan.transfers), "accepted of steps", "functions",
        "complexity", "model calls", "tokens", "cost",
    )  # fmt: skip
    yield _line(*["---"] * (len(plan.axes) + len(plan.transfers) + 10))
    for row in rows:
        usage = row.usage
        yield _line(
            *row.labels,
            f"{len(row.results)}",
            _change(row, "train"),
            _change(row, "test"),
            _spell(row.change("test"), sign=True),
            *(_spell(row.transfer(name)) for name in plan.transfers),
            f"{_plain(row.figure('accepted'))} of {_plain(row.figure('steps'))}",
            _plain(row.figure("functions")),
            _plain(row.figure("complexity")),
            f"{usage.calls:,}",
            f"{usage.tokens:,}",
            usd(usage.cost_usd),
        )


def _change(row: Row, split: str) -> str:
    before, after = row.score(split, 0), row.score(split, 1)
    if before is None:
        return _score(row, split)
    return f"{_spell(before)} → {_score(row, split)}" if after else f"{_spell(before)}, before"


def _score(row: Row, split: str) -> str:
    after = row.score(split, 1)
    if after is not None and len(row.results) == 1:
        only = getattr(row.results[0], split)[1]
        return f"{_spell(after)} [{only.low * 100:.1f}, {only.high * 100:.1f}]"
    return _spell(after)


def _spell(spread: Spread | None, *, sign: bool = False) -> str:
    if spread is None:
        return "–"
    mean = f"{spread.mean * 100:+.1f}" if sign else f"{spread.mean * 100:.1f}"
    deviation = spread.deviation
    return mean if deviation is None else f"{mean} ± {deviation * 100:.1f}"


def _plain(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.mean:.3g}"


def _curves(rows: Sequence[Row]) -> Iterator[str]:
    """Tell the test scores on the way, where they were looked at."""
    told = [(row, result) for row in rows for result in row.results if result.curve]
    if not told:
        return
    yield "## Learning curves on the test set"
    yield ""
    yield (
        "These runs looked at the test set after every accepted version: the best of a curve is "
        "chosen by the test set and no result."
    )
    yield ""
    yield _line("row", "seed", "test by step of acceptance", "best at", "last is best")
    yield _line(*["---"] * 5)
    for row, result in told:
        best = max(result.curve, key=lambda step: (result.curve[step], -step))
        points = ", ".join(f"{step}: {score:.1%}" for step, score in sorted(result.curve.items()))
        last = "yes" if result.curve[max(result.curve)] == result.curve[best] else "no"
        yield _line(row.name, str(result.job.seed), points, str(best), last)
    yield ""


def _runs(plan: Plan, rows: Sequence[Row]) -> Iterator[str]:
    shown = [name for name in COLUMNS if name not in ("test_low", "test_high", "prompt_tokens")]
    places = [COLUMNS.index(name) for name in shown]
    yield _line(*plan.axes, *(name.replace("_", " ") for name in shown))
    yield _line(*["---"] * (len(plan.axes) + len(shown)))
    for row in rows:
        for result in row.results:
            cells = _cells(plan, result)
            yield _line(*row.labels, *(cells[place] for place in places))


def _cells(plan: Plan, result: Result) -> list[str]:
    (train_before, train_after), (test_before, test_after) = result.train, result.test
    usage = result.usage
    return [
        result.job.run_id,
        str(result.job.seed),
        *(_share(scored.score if scored else None) for scored in (train_before, train_after)),
        *(_share(scored.score if scored else None) for scored in (test_before, test_after)),
        _share(test_after.low if test_after else None),
        _share(test_after.high if test_after else None),
        str(test_after.tasks) if test_after else "",
        str(test_after.failed) if test_after else "",
        str(result.steps),
        str(result.accepted),
        str(result.functions),
        "" if result.complexity is None else f"{result.complexity:.2f}",
        str(result.calls),
        str(usage.calls),
        str(usage.prompt_tokens),
        str(usage.completion_tokens),
        f"{usage.cost_usd:.6f}",
        f"{result.seconds:.1f}",
        *(_share(result.transfers[name].score if name in result.transfers else None)
          for name in plan.transfers),
    ]  # fmt: skip


def _share(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(one_line(cell, 300).replace("|", "\\|") for cell in cells) + " |"
