"""How functions did in a batch of episodes: the ledger in the compact form that a model reads.

No latency: it hangs on the machine, and a prompt must not (invariant 5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..complexity import cyclomatic_complexity
from ..episode import Episode, FunctionCall
from ..functions import Function


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the episodes say of one function."""

    calls: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)  # outcome other than value -> calls
    solved: int = 0  # tasks that called it and were solved
    failed: int = 0  # tasks that called it and were not
    complexity: int | None = None  # cyclomatic; None: nothing in the code could be counted

    def told(self) -> str:
        """Return it on one line."""
        kinds = "".join(f" {kind}={n}" for kind, n in sorted(self.errors.items()))
        complexity = "" if self.complexity is None else f" complexity={self.complexity}"
        return (
            f"calls={self.calls} errors={sum(self.errors.values())}{kinds} "
            f"solved={self.solved} failed={self.failed}{complexity}"
        )


def record_of(function: Function, episodes: Iterable[Episode]) -> Record:
    """Count the calls of exactly this version of a function."""
    calls = solved = failed = 0
    errors: Counter[str] = Counter()
    for episode in episodes:
        own = calls_of(function, episode)
        calls += len(own)
        errors.update(call.outcome for call in own if call.outcome != "value")
        solved += bool(own) and episode.solved
        failed += bool(own) and not episode.solved
    return Record(
        calls=calls,
        errors=dict(errors),
        solved=solved,
        failed=failed,
        complexity=cyclomatic_complexity(function.code),
    )


def calls_of(function: Function, episode: Episode) -> list[FunctionCall]:
    """Return an episode's calls of exactly this version of a function."""
    return [call for call in episode.calls if call.function_hash == function.hash]
