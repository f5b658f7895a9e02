"""How functions did in a batch of episodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..episode import Episode, FunctionCall
from ..functions import Function


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the episodes say of one function."""

    calls: int = 0
    errors: int = 0  # calls that gave no value
    solved: int = 0  # tasks that called it and were solved
    failed: int = 0  # tasks that called it and were not


def record_of(function: Function, episodes: Iterable[Episode]) -> Record:
    """Count the calls of exactly this version of a function."""
    calls = errors = solved = failed = 0
    for episode in episodes:
        own = calls_of(function, episode)
        calls += len(own)
        errors += sum(call.outcome != "value" for call in own)
        solved += bool(own) and episode.solved
        failed += bool(own) and not episode.solved
    return Record(calls=calls, errors=errors, solved=solved, failed=failed)


def calls_of(function: Function, episode: Episode) -> list[FunctionCall]:
    """Return an episode's calls of exactly this version of a function."""
    return [call for call in episode.calls if call.function_hash == function.hash]
