"""May a stopped run go on with this config? What would mix results is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..engine.checkpoint import RunRecord
from ..engine.errors import ConfigError, RunNotFound
from .config import Config

Key = tuple[str, ...]

# these tables and keys say how far, how fast and where a run goes, and nothing of its results
_FREE_TABLES = frozenset({"budget", "executor", "limits", "log", "store"})
_FREE: frozenset[Key] = frozenset(
    {
        ("compare", "alpha"),
        ("compare", "fail_if"),
        ("compare", "strict"),
        ("name",),
        ("parameters",),  # a path: the trainer compares what it holds
        ("sandbox", "backend"),
        ("sandbox", "processes"),
        ("training", "early_stop"),
        ("training", "epochs"),
        ("training", "max_failed_share"),
        ("training", "patience"),
        ("training", "steps"),
    }
)
_FREE_OF_A_MODEL = frozenset(
    {
        "base_url",
        "cached_usd_per_million",
        "completion_usd_per_million",
        "prompt_usd_per_million",
        "stream",
        "timeout_s",
    }
)
_SHOWN = 60  # characters of a value


def check_resumable(stored: RunRecord | None, now: RunRecord) -> None:
    """Compare a run as it was begun with what it shall go on with.

    Raises:
        RunNotFound: Nothing is stored of it.
        ConfigError: It has ended, or its tasks or settings changed in a way that mixes results.
    """
    if stored is None:
        raise RunNotFound(f"there is no run {now.id!r} to resume")
    if stored.status == "done":
        raise ConfigError(f"run {now.id} is done: there is nothing to resume")
    changes = [*_kind(stored, now), *_tasks(stored, now), *_settings(stored, now)]
    if changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise ConfigError(
            f"run {now.id} cannot go on, because its results would be mixed with others:{listed}\n"
            "Undo the change, or begin a new run. budget, limits and log may change"
        )


def check_new(stored: RunRecord | None, now: RunRecord) -> None:
    """Refuse to begin a run over another one.

    Raises:
        ConfigError: There is a run of this id.
    """
    if stored is not None:
        raise ConfigError(f"there is a run {now.id!r} already: resume it, or take another id")


def _kind(stored: RunRecord, now: RunRecord) -> Iterator[str]:
    if stored.kind != now.kind:
        yield f"it was begun to {stored.kind}, and is now to {now.kind}"


def _tasks(stored: RunRecord, now: RunRecord) -> Iterator[str]:
    for split in sorted(stored.task_hashes.keys() | now.task_hashes.keys()):
        if stored.task_hashes.get(split) != now.task_hashes.get(split):
            yield f"tasks.{split}: the tasks themselves are others"


def _settings(stored: RunRecord, now: RunRecord) -> Iterator[str]:
    before, after = dict(_flat(_complete(stored.config))), dict(_flat(now.config))
    for key in sorted(before.keys() | after.keys()):
        was, given = before.get(key), after.get(key)
        if was != given and not _is_free(key):
            yield f"{'.'.join(key)}: was {_show(was)}, now {_show(given)}"


def _is_free(key: Key) -> bool:
    match key:
        case (table, *_) if table in _FREE_TABLES:
            return True
        case ("models", _, name, *_) if name in _FREE_OF_A_MODEL:
            return True
        case ("tasks", *_, "path") | (_, "prompt" | "pairwise_prompt" | "rubric", "path"):
            return True  # what stands in the file is compared
    return key in _FREE


def _complete(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fill in the defaults of settings that are newer than the record."""
    try:
        return Config.model_validate(dict(config)).record()
    except ValidationError:
        return config


def _flat(value: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, (*above, name))
        else:
            yield (*above, name), inner


def _show(value: Any) -> str:
    shown = "not set" if value is None else repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
