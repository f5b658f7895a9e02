"""The engine's values, read back from the rows of the tables in schema.sql."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..engine.checkpoint import CallRecord, RunRecord
from ..engine.episode import Episode, Failure, FunctionCall, Job, Score
from ..engine.functions import Function
from ..engine.judgement import Judgement
from ..engine.messages import Message, Reply, Request, Tool
from ..engine.parameters import Demonstration, Parameters
from ..engine.usage import Usage
from .spelling import read, unpack


def run_of(row: Mapping[str, Any]) -> RunRecord:
    """Read the row of a run."""
    return RunRecord(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        config=read(row["config"]),
        seed=row["seed"],
        task_hashes=read(row["task_hashes"]),
        status=row["status"],
        created_at_unix_s=row["created_at_unix_s"],
        sandbox=row["sandbox"],
        part_of=row["part_of"],
    )


def parameters_of(row: Mapping[str, Any], functions: Iterable[str]) -> Parameters:
    """Read the row of a parameters version and the bodies of its functions."""
    body = read(row["body"])
    return Parameters(
        functions=tuple(Function.from_json(read(function)) for function in functions),
        instructions=body["instructions"],
        demonstrations=tuple(Demonstration.from_json(d) for d in body["demonstrations"]),
        model=body["model"],
    )


def episode_of(row: Mapping[str, Any], elapsed_s: Sequence[float]) -> Episode:
    """Read the row of an episode and the times of its function calls."""
    body = read(unpack(row["packed"]))
    scored = row["score"] is not None
    calls = zip(body["calls"], elapsed_s, strict=True)
    return Episode(
        id=row["episode_id"],
        run_id=row["run_id"],
        job=Job(
            evaluation=row["evaluation"],
            parameters_version=row["parameters_version"],
            task_id=body["task_id"],
            repeat=row["repeat"],
        ),
        prompt=body["prompt"],
        messages=_messages(row, body["messages"]),
        calls=tuple(
            FunctionCall(
                name=name,
                arguments=arguments,
                outcome=outcome,
                result=result,
                function_hash=function_hash,
                elapsed_s=seconds,
            )
            for (name, arguments, outcome, result, function_hash), seconds in calls
        ),
        answer=body["answer"],
        end=row["ending"],
        score=_score_of(row, body) if scored else None,
        failure=None if scored else Failure(kind=row["failure"], message=body["message"]),
        usage=usage_of(row),
        elapsed_s=row["elapsed_s"],
        metadata=read(body["metadata"]),
        state=read(body["state"]) if "state" in body else None,
    )


def _score_of(row: Mapping[str, Any], body: Mapping[str, Any]) -> Score:
    judgement = body.get("judgement")
    return Score(
        value=row["score"],
        comment=body["comment"],
        by=body.get("by", "gold"),
        gold=row["gold_score"],
        judgement=Judgement.from_json(row["episode_id"], judgement) if judgement else None,
    )


def call_of(row: Mapping[str, Any]) -> CallRecord:
    """Read the row of a model call."""
    body = read(unpack(row["packed"]))
    reply = body["reply"]
    return CallRecord(
        run_id=row["run_id"],
        scope=row["scope"],
        index=row["idx"],
        repeat=row["repeat"],
        request_hash=row["request_hash"],
        request=_request_of(read(unpack(row["head_packed"])), _messages(row, body["messages"])),
        reply=Reply(
            message=Message.from_json(reply["message"]),
            finish=reply["finish"],
            usage=usage_of(row),
            latency_s=row["latency_s"],
            reasoning=reply.get("reasoning", ""),
            first_token_s=row["first_token_s"],
        ),
        attempts=row["attempts"],
        at_unix_s=row["at_unix_s"],
    )


def tools_of(row: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Read the tools out of the row of a call's head."""
    head = read(unpack(row["head_packed"]))
    return tuple(Tool(**tool) for tool in head.get("tools", ()))


def _request_of(head: Mapping[str, Any], messages: tuple[Message, ...]) -> Request:
    fields = dict(head)
    fields["tools"] = tuple(Tool(**tool) for tool in head.get("tools", ()))
    fields["stop"] = tuple(head.get("stop", ()))
    return Request(messages=messages, **fields)


def _messages(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    system = row["system_packed"]
    first = [read(unpack(system))] if system is not None else []
    return tuple(Message.from_json(message) for message in (*first, *others))


def usage_of(row: Mapping[str, Any]) -> Usage:
    """Read the five columns of a usage."""
    return Usage(
        calls=row["calls"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cached_tokens=row["cached_tokens"],
        cost_pusd=row["cost_pusd"],
    )
