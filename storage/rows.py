"""Rows of the tables in schema.sql, made from the engine's values. `values.py` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..engine.checkpoint import CallRecord, Checkpoint, RunRecord
from ..engine.episode import Episode
from ..engine.events import (
    EvaluationFinished,
    EvaluationStarted,
    Event,
    StepDecided,
    Verdicts,
    event_key,
    event_to_json,
)
from ..engine.functions import Function
from ..engine.parameters import Parameters
from ..engine.usage import Usage
from .spelling import Free, Packed, column, spell, spell_fast, text_hash, unpack, whole

Row = dict[str, Any]
Made = tuple[Row, tuple[Row, ...]]
"""A row, and the rows of `contents` that it points at."""

# in these, and in no other column, may two runs with the same replies differ
VOLATILE = frozenset(
    {"at_unix_s", "created_at_unix_s", "seconds", "latency_s", "first_token_s", "elapsed_s"}
    | {"attempts"}
)


# -- runs -----------------------------------------------------------------------------------


def run_row(run: RunRecord, at_unix_s: float) -> Row:
    """Return the row of a run that begins now."""
    return {
        "id": run.id,
        "kind": run.kind,
        "name": Free(column(run.name)),
        "seed": whole(run.seed),
        "sandbox": run.sandbox,
        "config": Free(spell(run.config)),
        "task_hashes": spell(run.task_hashes),
        "part_of": run.part_of,
        "at_unix_s": at_unix_s,
        "created_at_unix_s": run.created_at_unix_s or at_unix_s,
    }


# -- parameters -----------------------------------------------------------------------------


def function_row(function: Function) -> Row:
    """Return the row of a function."""
    return {
        "hash": function.hash,
        "name": column(function.name),
        "body": Free(spell(function.to_json())),
    }


def parameters_row(parameters: Parameters) -> Row:
    """Return the row of a parameters version; its functions have rows of their own."""
    body = parameters.to_json()
    del body["functions"]
    return {
        "version": parameters.version,
        "functions": spell([function.hash for function in parameters.functions]),
        "body": Free(spell(body)),
    }


# -- episodes -------------------------------------------------------------------------------


def episode_row(episode: Episode, at_unix_s: float) -> Made:
    """Return the row of an episode; times of its function calls stand in their own rows."""
    score, failure = episode.score, episode.failure
    judgement = score.judgement if score else None
    system, messages = _split([message.to_json() for message in episode.messages])
    row = {
        "run_id": episode.run_id,
        "episode_id": episode.id,
        "evaluation": column(episode.job.evaluation),
        "parameters_version": episode.job.parameters_version,
        "task_id": column(episode.job.task_id),
        "repeat": episode.job.repeat,
        "score": score.value if score else None,
        "gold_score": score.gold if score else None,
        "critic_score": judgement.score if judgement else None,
        "critic_agreement": judgement.agreement if judgement else None,
        "failure": failure.kind if failure else None,
        "ending": column(episode.end),
        **usage_columns(episode.usage),
        "elapsed_s": episode.elapsed_s,
        "at_unix_s": at_unix_s,
        "system": system["hash"] if system else None,
        "packed": Packed(spell_fast(_episode_body(episode, messages))),
    }
    return row, (system,) if system else ()


def _episode_body(episode: Episode, messages: Sequence[Row]) -> Row:
    score = episode.score
    judged = {}
    if score is not None and score.judgement is not None:
        judged = {"by": score.by, "judgement": score.judgement.to_json()}
    state = {} if episode.state is None else {"state": spell(episode.state)}
    return {
        **state,
        "task_id": episode.job.task_id,
        "prompt": episode.prompt,
        "messages": messages,
        "calls": [
            [call.name, call.arguments, call.outcome, call.result, call.function_hash]
            for call in episode.calls
        ],
        "answer": episode.answer,
        "comment": episode.score.comment if episode.score else "",
        "message": episode.failure.message if episode.failure else "",
        "metadata": spell(episode.metadata),  # of a file: may hold NaN
        **judged,
    }


def function_call_rows(episode: Episode) -> list[Row]:
    """Return a row for each function call of an episode."""
    return [
        {
            "run_id": episode.run_id,
            "episode_id": episode.id,
            "idx": index,
            "name": column(call.name),
            "function_hash": call.function_hash,
            "outcome": call.outcome,
            "elapsed_s": call.elapsed_s,
        }
        for index, call in enumerate(episode.calls)
    ]


# -- evaluations, decisions, events ---------------------------------------------------------


VERDICT_COLUMNS = ("score", "low", "high", "tasks")
EVALUATION_COLUMNS = (
    "planned",
    "score",
    "low",
    "high",
    *(f"{judge}_{name}" for judge in ("gold", "critic") for name in VERDICT_COLUMNS),
    "tasks",
    "episodes",
    "failed",
    "calls",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_pusd",
)


def evaluation_row(event: EvaluationStarted | EvaluationFinished) -> Row:
    """Return what an event tells of an evaluation."""
    row: Row = {
        "run_id": event.run_id,
        "evaluation": column(event.evaluation),
        "at_unix_s": event.at_unix_s,
    }
    if isinstance(event, EvaluationStarted):
        return row | {"parameters_version": event.parameters.version, "planned": event.episodes}
    return row | {
        "parameters_version": event.parameters_version,
        "score": event.score,
        "low": event.low,
        "high": event.high,
        **_verdict_columns("gold", event.gold),
        **_verdict_columns("critic", event.critic),
        "tasks": event.tasks,
        "episodes": event.episodes,
        "failed": event.failed,
        **usage_columns(event.usage),
    }


def _verdict_columns(judge: str, verdicts: Verdicts | None) -> Row:
    return {
        f"{judge}_{name}": getattr(verdicts, name) if verdicts else None for name in VERDICT_COLUMNS
    }


def decision_row(event: StepDecided) -> Row:
    """Return the row of a decision."""
    return {
        "run_id": event.run_id,
        "step": event.step,
        "outcome": event.outcome,
        "reason": Free(column(event.reason)),
        "incumbent_version": event.incumbent_version,
        "candidate_version": event.candidate.version,
        "incumbent_score": event.incumbent_score,
        "score": event.score,
        "incumbent_low": event.incumbent_low,
        "incumbent_high": event.incumbent_high,
        "score_low": event.score_low,
        "score_high": event.score_high,
        "effect": event.effect,
        "low": event.low,
        "high": event.high,
        "gold_score": event.gold.score if event.gold else None,
        "critic_score": event.critic.score if event.critic else None,
        "episodes": event.episodes,
        **usage_columns(event.usage),
        "details": Free(spell(event.details)),
        "at_unix_s": event.at_unix_s,
    }


def event_row(event: Event) -> Row:
    """Return the row of any event."""
    body = event_to_json(event)
    del body["run_id"], body["at_unix_s"]
    return {
        "run_id": event.run_id,
        "key": column(event_key(event)),
        "event": type(event).__name__,
        "body": Free(spell(body)),
        "at_unix_s": event.at_unix_s,
    }


# -- checkpoints and calls ------------------------------------------------------------------


def checkpoint_row(run_id: str, checkpoint: Checkpoint, at_unix_s: float) -> Row:
    """Return the row of a checkpoint."""
    return {
        "run_id": run_id,
        "step": checkpoint.step,
        "packed": Packed(spell(checkpoint.state)),
        "at_unix_s": at_unix_s,
    }


def call_row(record: CallRecord) -> Made:
    """Return the row of a model call."""
    reply = record.reply
    head = record.request.to_json()
    system, messages = _split(head.pop("messages"))
    shared = content_row(head)
    row = {
        "run_id": record.run_id,
        "scope": column(record.scope),
        "idx": record.index,
        "request_hash": record.request_hash,
        "repeat": record.repeat,
        "model": column(record.request.model),
        "finish": reply.finish,
        **usage_columns(reply.usage),
        "attempts": record.attempts,
        "latency_s": reply.latency_s,
        "first_token_s": reply.first_token_s,
        "at_unix_s": record.at_unix_s,
        "head": shared["hash"],
        "system": system["hash"] if system else None,
        "packed": Packed(spell_fast({"messages": messages, "reply": reply.to_json()})),
    }
    return row, (shared, system) if system else (shared,)


def content_row(value: Any) -> Row:
    """Return the row of something that many rows have in common."""
    text = spell_fast(value)
    return {"hash": text_hash(text), "packed": Packed(text)}


def _split(messages: list[Row]) -> tuple[Row | None, list[Row]]:
    """Part the system prompt, the same for many, from the other messages."""
    if messages and messages[0]["role"] == "system":
        return content_row(messages[0]), messages[1:]
    return None, messages


# -- usage ----------------------------------------------------------------------------------


def usage_columns(usage: Usage) -> Row:
    """Return the five columns of a usage."""
    return {
        "calls": whole(usage.calls),
        "prompt_tokens": whole(usage.prompt_tokens),
        "completion_tokens": whole(usage.completion_tokens),
        "cached_tokens": whole(usage.cached_tokens),
        "cost_pusd": whole(usage.cost_pusd),
    }


def bounded(usage: Usage) -> Usage:
    """Return a usage as it can be stored."""
    return Usage(**usage_columns(usage))


def ordered(found: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return rows as two runs with the same replies must agree on them, in a fixed order."""
    return sorted((_comparable(row) for row in found), key=repr)


def _comparable(row: Mapping[str, Any]) -> Row:
    left_out = VOLATILE | {"run_id"}
    return {name: _plain(name, row[name]) for name in sorted(row) if name not in left_out}


def _plain(name: str, value: Any) -> Any:
    if name == "packed" and isinstance(value, bytes):
        return unpack(value)
    return str(value) if isinstance(value, Free) else value
