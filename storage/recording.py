"""Which rows an event leaves behind."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.checkpoint import CallRecord
from ..engine.events import (
    TRANSIENT,
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    RunFinished,
    StepDecided,
)
from ..engine.parameters import Parameters
from . import rows
from .rows import Row
from .spelling import Free, column
from .writer import Write


def writes_of(event: Event) -> list[Write]:
    """Return the statements that store an event; none for what depends on timing only."""
    match event:
        case EpisodeFinished():
            return _episode(event)
        case RunFinished():
            return [Write("finish_run", _ending(event))]
        case _ if type(event).__name__ in TRANSIENT:
            return []
        case EvaluationStarted():
            writes = [
                *parameters_writes(event.parameters),
                Write("start_evaluation", rows.evaluation_row(event)),
            ]
        case EvaluationFinished():
            writes = [Write("finish_evaluation", rows.evaluation_row(event))]
        case StepDecided():
            writes = [
                *parameters_writes(event.candidate),
                Write("save_decision", rows.decision_row(event)),
            ]
        case _:
            writes = []
    return [*writes, Write("save_event", rows.event_row(event))]


def parameters_writes(parameters: Parameters) -> list[Write]:
    """Return the statements that store a parameters version and its functions."""
    functions = [
        Write("keep_function", rows.function_row(function)) for function in parameters.functions
    ]
    return [*functions, Write("keep_parameters", rows.parameters_row(parameters))]


def call_writes(record: CallRecord) -> list[Write]:
    """Return the statements that store a model call."""
    row, contents = rows.call_row(record)
    return [Write("keep_call", row), *content_writes(contents)]


def content_writes(contents: Sequence[Row]) -> list[Write]:
    """Return the statements that store what many rows have in common."""
    return [Write("keep_content", content) for content in contents]


def _episode(event: EpisodeFinished) -> list[Write]:
    episode = event.episode
    row, contents = rows.episode_row(episode, event.at_unix_s)
    key = {"run_id": episode.run_id, "episode_id": episode.id}
    return [
        Write("forget_failed_calls", key),
        *(Write("add_function_call", row) for row in rows.function_call_rows(episode)),
        Write("save_episode", row),
        *content_writes(contents),
    ]


def _ending(event: RunFinished) -> Row:
    return {
        "id": event.run_id,
        "status": event.status,
        "stopped_by": event.stopped_by,
        "message": Free(column(event.message)),
        "seconds": event.seconds,
        "at_unix_s": event.at_unix_s,
    }
