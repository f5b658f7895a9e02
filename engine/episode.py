"""One agent, one task, one parameters version: what happened and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .canonical import content_hash
from .judgement import Judgement
from .messages import Message
from .usage import NO_USAGE, Usage

Signal = Literal["gold", "critic"]
CallOutcome = Literal["value", "exception", "timeout", "refused", "system_failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """One call of a function or of the `python` tool, with its result."""

    name: str
    arguments: str  # raw text, as the model wrote it
    outcome: CallOutcome
    result: str  # what the agent's model was told
    function_hash: str | None = None  # None: a frozen tool, or no such function
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A scorer's verdict."""

    value: float  # in [0, 1]; 1 is best: the signal that decides and is learned from
    comment: str = ""  # why; may be shown to the optimizer if the run's `feedback` says so
    by: Signal = "gold"  # whose verdict `value` is
    gold: float | None = None  # with a critic: what the scorer says; None: nothing to compare
    judgement: Judgement | None = None  # the critic's, where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no score: a failed system, never a failed task (invariant 1)."""

    kind: str  # one word: rate_limit, auth, sandbox, scorer, deadline, ...
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An episode to be run. Its id says what it is, so that it can be found again after a crash."""

    evaluation: str  # which evaluation of the run: "train/3", "test/before", ...
    parameters_version: str
    task_id: str
    repeat: int = 0

    @property
    def episode_id(self) -> str:
        """The same for the same job in any run, at any concurrency."""
        return content_hash([self.evaluation, self.parameters_version, self.task_id, self.repeat])


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A finished episode: scored (`score` set) or failed (`failure` set), never both."""

    id: str
    run_id: str
    job: Job
    prompt: str
    messages: tuple[Message, ...] = ()  # the whole conversation, system prompt first
    calls: tuple[FunctionCall, ...] = ()
    answer: str | None = None  # None: the agent gave none
    end: str = ""  # how the agent ended: answered, turns, tokens, no_answer, repetition
    score: Score | None = None
    failure: Failure | None = None
    usage: Usage = field(default=NO_USAGE)
    elapsed_s: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)  # of the task: category, ...
    state: Any = None  # JSON: the environment's last snapshot; None: there was no environment

    @property
    def solved(self) -> bool:
        """Whether the full score was reached."""
        return self.score is not None and self.score.value >= 1.0
