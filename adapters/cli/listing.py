"""The command `runs`. Light at import: it is asked often, and for little."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...storage.records import RunSummary
from ..views.text import estimate, one_line, plural, usd
from .output import DONE, print_json, say, usage_json
from .output import show as put
from .stored import open_reader

_STATUS_STYLES = {"done": "green", "failed": "red", "running": "cyan"}


def runs(store: str | None, *, limit: int, as_json: bool) -> int:
    """List the runs of a database, newest first.

    Raises:
        StoreError: The database cannot be read.
    """
    found = open_reader(store).runs(limit)
    if as_json:
        print_json({"runs": [summary_json(run) for run in found]})
        return DONE
    if not found:
        say("no runs yet: start one with `funcforge train CONFIG.toml`")
    width = max((len(run.id) for run in found), default=0)
    for run in found:
        date = datetime.fromtimestamp(run.created_at_unix_s).strftime("%Y-%m-%d %H:%M")
        style = _STATUS_STYLES.get(run.status, "yellow")
        unsafe = "  UNSAFE sandbox" if run.sandbox == "unsafe" else ""
        put(
            f"{run.id:<{width}}  {date}  {run.kind:<8}  {run.status:<11}  "
            f"{_score(run):<46}  {run.usage.calls:>8,} calls  {usd(run.usage.cost_usd):>12}  "
            f"{one_line(run.name, 40)}{unsafe}",
            style="bold red" if unsafe else style,
        )
    return DONE


def _score(run: RunSummary) -> str:
    """Return what people look for: the sealed test before and after, or what there is of it."""
    if run.kind == "compare":
        best = max(run.after.values(), key=lambda one: one.score or 0.0, default=None)
        arms = plural(len(run.after), "arm")
        return f"{arms}, best {100 * (best.score or 0.0):.1f} %" if best else arms
    for split in ("test", "validation", "train"):
        scores = [
            estimate(one.score, one.low, one.high).replace(" %", "")
            for one in (run.before.get(split), run.after.get(split))
            if one is not None and one.score is not None
        ]
        if len(scores) == 2 and scores[0] != scores[1]:
            return f"{split} {scores[0]} → {scores[1]} %"
        if scores:
            return f"{split} {scores[-1]} %"
    return ""


def summary_json(run: RunSummary) -> dict[str, Any]:
    """Return one entry of `runs --json`."""
    return {
        "run_id": run.id,
        "kind": run.kind,
        "name": run.name,
        "status": run.status,
        "stopped_by": run.stopped_by,
        "created_at_unix_s": run.created_at_unix_s,
        "seconds": run.seconds,
        "seed": run.seed,
        "sandbox": run.sandbox,
        "before": {split: one.score for split, one in run.before.items()},
        "after": {split: one.score for split, one in run.after.items()},
        "intervals": {
            side: {split: [one.low, one.high] for split, one in found.items()}
            for side, found in (("before", run.before), ("after", run.after))
        },
        "usage": usage_json(run.usage),
    }
