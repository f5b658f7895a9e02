"""The engine's values as plain tuples, for the way to a worker and back.

Pickled as they are, frozen dataclasses cost fifteen times as much, and errors with keyword
arguments do not come back at all.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from struct import Struct
from typing import Any

from ...engine import errors
from ...engine.episode import Episode, Failure, FunctionCall, Job, Score
from ...engine.errors import ConfigError, FuncforgeError
from ...engine.judgement import Judgement
from ...engine.messages import Reply, Request, Tool
from ...engine.tasks import Task
from ...engine.usage import Usage
from .said import Heard, Said, message_in, message_out

Packed = tuple[Any, ...]
"""What `*_out` makes and `*_in` reads: built-in types only."""

BEAT_S = 0.5  # between two signs of life of a worker

_SIZE = Struct("<I")
_SHOWN = 4_000  # characters of a foreign traceback


def frame(message: Packed) -> bytes:
    """Return a message as bytes that follow one another in a stream.

    Raises:
        ConfigError: It holds something that cannot be sent to another process.
    """
    try:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # whatever a person's object does while it is pickled
        raise ConfigError(
            f"cannot be sent to a worker: {type(error).__name__}: {error}. Only plain values can: "
            'numbers, text, lists, dictionaries; or set executor.kind = "local"'
        ) from error
    return _SIZE.pack(len(data)) + data


class Frames:
    """Cuts a stream of bytes into messages again."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Packed]:
        """Take what came, and return the messages that are complete."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while at + 4 <= end:
            stop = at + 4 + _SIZE.unpack_from(data, at)[0]
            if stop > end:
                break
            # both ends are this program, over a socket that nobody else has
            message: Packed = pickle.loads(memoryview(data)[at + 4 : stop])  # noqa: S301
            at = stop
            yield message
        self._rest = data[at:]


# -- model calls ----------------------------------------------------------------------------


def request_out(request: Request, said: Said) -> Packed:
    """Pack a request, but for the messages that were sent before."""
    return (
        request.model,
        said.pack(request.messages),
        [(tool.name, tool.description, dict(tool.arguments)) for tool in request.tools],
        request.tool_choice,
        request.max_tokens,
        request.temperature,
        request.seed,
        request.stop,
        None if request.json_schema is None else dict(request.json_schema),
    )


def request_in(packed: Packed, heard: Heard) -> Request:
    """Unpack a request."""
    model, messages, tools, tool_choice, max_tokens, temperature, seed, stop, schema = packed
    return Request(
        model=model,
        messages=heard.unpack(messages),
        tools=tuple(Tool(name=n, description=d, arguments=a) for n, d, a in tools),
        tool_choice=tool_choice,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        stop=stop,
        json_schema=schema,
    )


def reply_out(reply: Reply) -> Packed:
    """Pack a reply."""
    return (
        message_out(reply.message),
        reply.finish,
        _usage_out(reply.usage),
        reply.latency_s,
        reply.reasoning,
        reply.first_token_s,
    )


def reply_in(packed: Packed) -> Reply:
    """Unpack a reply."""
    (message, finish, usage, latency_s, reasoning, first_token_s) = packed
    return Reply(
        message=message_in(message),
        finish=finish,
        usage=_usage_in(usage),
        latency_s=latency_s,
        reasoning=reasoning,
        first_token_s=first_token_s,
    )


def _usage_out(usage: Usage) -> Packed:
    return (
        usage.calls,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.cost_pusd,
    )


def _usage_in(packed: Packed) -> Usage:
    calls, prompt, completion, cached, cost = packed
    return Usage(
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cost_pusd=cost,
    )


# -- episodes -------------------------------------------------------------------------------


def job_out(job: Job) -> Packed:
    """Pack a job."""
    return (job.evaluation, job.parameters_version, job.task_id, job.repeat)


def job_in(packed: Packed) -> Job:
    """Unpack a job."""
    evaluation, version, task_id, repeat = packed
    return Job(evaluation=evaluation, parameters_version=version, task_id=task_id, repeat=repeat)


def task_out(task: Task) -> Packed:
    """Pack a task."""
    return (task.id, task.prompt, task.target, dict(task.files), dict(task.metadata))


def task_in(packed: Packed) -> Task:
    """Unpack a task."""
    name, prompt, target, files, metadata = packed
    return Task(id=name, prompt=prompt, target=target, files=files, metadata=metadata)


def episode_out(episode: Episode, said: Said) -> Packed:
    """Pack a finished episode, but for what the run's process knows: its job, task and run."""
    score, failure = episode.score, episode.failure
    return (
        said.pack(episode.messages),
        [
            (c.name, c.arguments, c.outcome, c.result, c.function_hash, c.elapsed_s)
            for c in episode.calls
        ],
        episode.answer,
        episode.end,
        None if score is None else _score_out(score),
        None if failure is None else (failure.kind, failure.message),
        _usage_out(episode.usage),
        episode.elapsed_s,
        dict(episode.metadata),
        episode.state,
    )


def episode_in(packed: Packed, heard: Heard, run_id: str, job: Job, task: Task) -> Episode:
    """Unpack an episode."""
    messages, calls, answer, end, score, failure, usage, elapsed_s, metadata, state = packed
    return Episode(
        id=job.episode_id,
        run_id=run_id,
        job=job,
        prompt=task.prompt,
        messages=heard.unpack(messages),
        calls=tuple(
            FunctionCall(name=n, arguments=a, outcome=o, result=r, function_hash=f, elapsed_s=s)
            for n, a, o, r, f, s in calls
        ),
        answer=answer,
        end=end,
        score=None if score is None else _score_in(score, job),
        failure=None if failure is None else Failure(kind=failure[0], message=failure[1]),
        usage=_usage_in(usage),
        elapsed_s=elapsed_s,
        metadata=metadata,
        state=state,
    )


def _score_out(score: Score) -> Packed:
    judgement = score.judgement
    judged = None if judgement is None else judgement.to_json()
    return (score.value, score.comment, score.by, score.gold, judged)


def _score_in(packed: Packed, job: Job) -> Score:
    value, comment, by, gold, judged = packed
    judgement = None if judged is None else Judgement.from_json(job.episode_id, judged)
    return Score(value=value, comment=comment, by=by, gold=gold, judgement=judgement)


# -- errors ---------------------------------------------------------------------------------


def error_out(error: BaseException) -> Packed:
    """Pack an error: one of ours with all it carries, any other as text."""
    if isinstance(error, FuncforgeError):
        return (type(error).__name__, str(error), dict(vars(error)))
    return ("", "".join(traceback.format_exception(error))[-_SHOWN:], {})


def error_in(packed: Packed) -> Exception:
    """Unpack an error. One that is not ours comes back as a `RuntimeError`."""
    name, message, attributes = packed
    kind = getattr(errors, name, None) if name else None
    if kind is None:
        return RuntimeError(message)
    # not by the constructor: each has its own, and some put their attributes in the message
    error: FuncforgeError = kind.__new__(kind, message)
    vars(error).update(attributes)
    return error
