"""The function ledger as the terminal, the report and `--json` tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.complexity import cyclomatic_complexity
from ...storage.records import FunctionVersion
from .text import duration, plural

_HASH = 8  # characters of a hash that people are shown
COLUMNS = ("version", "standing", "lineage", "calls", "errors", "mean", "solved", "failed",
           "last used", "complexity")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One version of a function, spelt."""

    entry: FunctionVersion
    complexity: int | None  # cyclomatic; None: nothing in the code could be counted

    @property
    def name(self) -> str:
        """The function's name."""
        return self.entry.function.name

    @property
    def version(self) -> str:
        """The beginning of its hash."""
        return self.entry.function.hash[:_HASH]

    @property
    def lineage(self) -> str:
        """Where it came from and where it went."""
        entry = self.entry
        parts = ["from the start" if entry.proposed_in is None else f"step {entry.proposed_in}"]
        if entry.predecessor:
            parts.append(f"revises {entry.predecessor[:_HASH]}")
        if entry.accepted_in is not None and entry.accepted_in != entry.proposed_in:
            parts.append(f"accepted in step {entry.accepted_in}")
        if entry.ended_in is not None and not entry.in_result:
            end = f"replaced by {entry.successor[:_HASH]}" if entry.successor else "removed"
            parts.append(f"{end} in step {entry.ended_in}")
        return ", ".join(parts)

    @property
    def errors(self) -> str:
        """Calls without a value, by kind."""
        use = self.entry.use
        kinds = {k: n for k, n in use.outcomes.items() if k != "value"} if use else {}
        return ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "0"

    def cells(self) -> Sequence[str]:
        """Return the texts under `COLUMNS`."""
        use = self.entry.use
        usage = (
            (f"{use.calls:,}", self.errors, duration(use.mean_s), str(use.tasks_solved),
             str(use.tasks_failed), use.last_used)
            if use
            else ("0", "0", "–", "0", "0", "never")
        )  # fmt: skip
        complexity = "–" if self.complexity is None else str(self.complexity)
        return (self.version, self.entry.standing, self.lineage, *usage, complexity)

    def told(self) -> str:
        """Return the use in a sentence without end, for one line of a terminal."""
        use = self.entry.use
        parts = [f"{self.version} {self.entry.standing}", self.lineage]
        if use is None or not use.calls:
            parts.append("never called")
        else:
            slowest = duration(use.slowest_s)
            parts += [
                f"{plural(use.calls, 'call')}, errors {self.errors}",
                f"{duration(use.mean_s)} a call, at most {slowest}",
                f"solved {use.tasks_solved} and failed {plural(use.tasks_failed, 'task')}",
                f"last used in {use.last_used}",
            ]
        if self.complexity is not None:
            parts.append(f"complexity {self.complexity}")
        return "; ".join(parts)

    def to_json(self) -> Mapping[str, Any]:
        """Return it for programs."""
        entry, use = self.entry, self.entry.use
        return {
            "name": self.name,
            "hash": entry.function.hash,
            "standing": entry.standing.replace(" ", "_"),
            "predecessor": entry.predecessor,
            "successor": entry.successor,
            "proposed_in": entry.proposed_in,
            "accepted_in": entry.accepted_in,
            "ended_in": entry.ended_in,
            "calls": use.calls if use else 0,
            "outcomes": dict(use.outcomes) if use else {},
            "mean_s": use.mean_s if use else None,
            "slowest_s": use.slowest_s if use else None,
            "tasks_solved": use.tasks_solved if use else 0,
            "tasks_failed": use.tasks_failed if use else 0,
            "last_used": use.last_used if use else None,
            "last_used_unix_s": use.last_used_unix_s if use else None,
            "complexity": self.complexity,
        }


def ledger_rows(entries: Sequence[FunctionVersion]) -> list[Row]:
    """Return what is told of each version: those in use first, then by name and appearance."""
    order = sorted(
        enumerate(entries), key=lambda at: (not at[1].in_result, at[1].function.name, at[0])
    )
    return [
        Row(entry=entry, complexity=cyclomatic_complexity(entry.function.code))
        for _, entry in order
    ]


def mean_complexity(rows: Sequence[Row]) -> float | None:
    """Return the mean over the functions of the result, as the papers report it."""
    found = [row.complexity for row in rows if row.entry.in_result and row.complexity is not None]
    return sum(found) / len(found) if found else None
