"""structlog as a sink of the bus: one line per event, as JSON or for a console.

structlog is wrapped here with explicit settings: an application's own configuration of it is
neither read nor changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from ...engine.errors import ConfigError
from ...engine.events import (
    EpisodeFinished,
    Event,
    LimitChanged,
    PartTold,
    PromptTrimmed,
    RunFinished,
    StraysDiscarded,
    event_to_json,
)
from ..secrets import redactor
from .text import printable

Level = Literal["debug", "info", "warning", "error"]
Fields = MutableMapping[str, Any]


class LogSink:
    """A lossy sink. Use as `with LogSink(...) as sink`.

    Args:
        level: Events below it are not logged. Quiet by default: warnings are failed episodes,
            discarded strays and a run that did not end well.
        form: One JSON object per line, or aligned text for a person.
        file: Appended to; None: stderr, as it is when a line is written.

    Raises:
        ConfigError: The file cannot be written.
    """

    def __init__(
        self,
        *,
        level: Level = "warning",
        form: Literal["console", "json"] = "console",
        file: str | None = None,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._stream = _open(file) if file else None
        mask = redact or redactor()
        # JSON escapes control characters by itself; a terminal must not be steered by a model
        self._redact = mask if form == "json" else lambda text: printable(mask(text), keep="\n")
        self._logger = self._wrap(level, form)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    async def handle(self, event: Event) -> None:
        """Log an event, with its run, step and episode bound."""
        fields = event_to_json(event)
        name = fields.pop("event")
        if isinstance(event, EpisodeFinished):
            episode = fields.pop("episode")
            fields.update({"episode_id": episode.pop("id"), **episode})
            if event.episode.failure is not None:
                fields["message"] = event.episode.failure.message
        getattr(self._logger, level_of(event))(name, **fields)

    def _wrap(self, level: Level, form: Literal["console", "json"]) -> Any:
        import structlog  # 0.2 s: only where something is logged

        renderer: Any = (
            structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=True)
            if form == "json"
            else structlog.dev.ConsoleRenderer(
                colors=self._stream is None and sys.stderr.isatty(), sort_keys=False
            )
        )
        return structlog.wrap_logger(
            structlog.WriteLogger(self._stream or _Stderr()),  # type: ignore[arg-type]
            processors=[structlog.processors.add_log_level, self._prepare, renderer],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            context_class=dict,
            cache_logger_on_first_use=True,
        )

    def _prepare(self, _logger: Any, _method: str, fields: Fields) -> Fields:
        """Put the time first, and mask secrets in every text."""
        at_unix_s = fields.pop("at_unix_s", 0.0)
        masked = {key: _masked(value, self._redact) for key, value in fields.items()}
        return {"at_unix_s": at_unix_s, **masked}


def level_of(event: Event) -> Level:
    """Return how loud an event is."""
    match event:
        case PartTold():
            return level_of(event.event)
        case EpisodeFinished():
            return "debug" if event.episode.failure is None else "warning"
        case RunFinished(status="done"):
            return "info"
        case RunFinished(status="failed"):
            return "error"
        case RunFinished() | StraysDiscarded():
            return "warning"
        case LimitChanged() | PromptTrimmed():
            return "debug"
    return "info"


def _masked(value: Any, redact: Callable[[str], str]) -> Any:
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: _masked(item, redact) for key, item in value.items()}
        case list() | tuple():
            return [_masked(item, redact) for item in value]
    return value


class _Stderr:
    """`sys.stderr` looked up at each write: a live view may stand in for it meanwhile."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _open(file: str) -> TextIO:
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        return open(file, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}", key="log.file") from None
