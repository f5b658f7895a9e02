"""What happens in a run, as data. Past participles; published on the bus, stored and shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .episode import Episode
from .parameters import Edit, Parameters, edit_to_json
from .usage import NO_USAGE, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events: which run, and when."""

    run_id: str
    at_unix_s: float = 0.0  # set by the bus when published


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began, or went on after a stop."""

    kind: str
    name: str
    resumed: bool
    sandbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationStarted(Event):
    """Episodes of one evaluation begin to go out."""

    evaluation: str  # "train/0", "test/before", ...
    parameters: Parameters
    episodes: int  # how many are planned


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFinished(Event):
    """An episode ended: scored or failed."""

    episode: Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What one judge said over an evaluation, whether it decides or stands beside."""

    score: float  # mean over tasks of the mean over repeats
    low: float
    high: float
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFinished(Event):
    """All episodes of one evaluation ended."""

    evaluation: str
    parameters_version: str
    score: float  # mean over tasks of the mean over repeats; failed episodes left out
    low: float  # 95 % interval, clustered by task under repeats
    high: float
    tasks: int  # tasks with at least one scored episode
    episodes: int  # scored
    failed: int
    usage: Usage = field(default=NO_USAGE)
    gold: Verdicts | None = None  # with a critic: the scorer's, where there is gold
    critic: Verdicts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticDoubted(Event):
    """A critic said the same of every trajectory: its judgements hold no information."""

    evaluation: str
    episodes: int  # judged
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """The optimizer begins to propose."""

    step: int  # from 1
    incumbent_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditProposed(Event):
    """One action of the optimizer, applied or refused with the reason it was told."""

    step: int
    action: int  # number within the proposal, from 0
    edit: Edit | None  # None: the reply held nothing that could be read as an edit
    refused: str = ""  # empty: applied
    proposal: int = 0  # of the step, where several race


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTrimmed(Event):
    """A prompt did not fit its token budget; this was left out."""

    step: int
    messages_cut: int  # messages shortened in the middle
    episodes_left_out: int  # conversations that are only in the table
    rejected_left_out: int = 0  # sets of the failure record


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecided(Event):
    """A proposal was accepted or rolled back."""

    step: int
    outcome: str  # accepted, promising, rolled_back, unchanged (nothing was proposed), void
    reason: str  # for people
    incumbent_version: str  # what the candidate was compared with
    candidate: Parameters
    incumbent_score: float | None
    score: float | None  # the candidate's
    incumbent_low: float | None = None  # 95 % intervals of the two scores
    incumbent_high: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    effect: float | None = None  # candidate minus incumbent
    low: float | None = None
    high: float | None = None
    episodes: int = 0  # spent on the decision
    gold: Verdicts | None = None  # with a critic: the candidate's, where there is gold
    critic: Verdicts | None = None
    usage: Usage = field(default=NO_USAGE)  # of these episodes
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON: what the policy adds


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTestCompared(Event):
    """The sealed test was compared before and after, paired on tasks, once."""

    before_version: str
    after_version: str
    before: float  # mean over the tasks that are scored on both sides
    after: float
    effect: float  # after minus before
    low: float  # 95 % interval of the effect
    high: float
    p_value: float  # exact, two-sided
    tasks: int  # scored on both sides
    dropped: int  # scored on one side or none
    won: int  # tasks that got better
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetried(Event):
    """A call failed in a way that may pass; it is asked again."""

    scope: str
    model: str
    kind: str
    attempt: int  # that failed, from 1
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged(Event):
    """The adaptive limiter moved."""

    account: str
    in_flight_limit: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StraysDiscarded(Event):
    """Episodes of another parameters version reached a batch and were left out of it."""

    evaluation: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningProgressed(Event):
    """A fine-tuning job got on."""

    step: int
    job_id: str
    status: str  # waiting, running, succeeded, failed, cancelled
    done_share: float | None = None  # in [0, 1]
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTold(Event):
    """A run that this one began for itself told of something."""

    part: str  # what it is for, for people
    event: Event  # of that run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run ended or stopped."""

    status: str  # done, failed, paused, interrupted
    stopped_by: str  # patience, epochs, solved, steps, budget, interrupt, error
    message: str = ""
    usage: Usage = field(default=NO_USAGE)
    seconds: float = 0.0


# what tells two events of one kind apart; everything else is their content
_IDENTITY = {
    "EvaluationStarted": ("evaluation",),
    "EvaluationFinished": ("evaluation",),
    "CriticDoubted": ("evaluation",),
    "StepStarted": ("step",),
    "EditProposed": ("step", "proposal", "action"),
    "PromptTrimmed": ("step",),
    "StepDecided": ("step",),
    "StraysDiscarded": ("evaluation",),
}
# these depend on timing: they are shown and logged, not stored (invariant 5)
TRANSIENT = frozenset(
    {"ModelRetried", "LimitChanged", "RunStarted", "RunFinished", "TuningProgressed", "PartTold"}
)


def event_key(event: Event) -> str:
    """Return the key under which an event is stored once, however often it is published."""
    name = type(event).__name__
    parts = [str(getattr(event, attribute)) for attribute in _IDENTITY.get(name, ())]
    return "/".join([name, *parts])


def event_to_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON with its name under "event", for sinks.

    Parameters are given by version and episodes in short: their contents have their own tables.
    """
    data: dict[str, Any] = {"event": type(event).__name__}
    for spec in dataclasses.fields(event):
        data[spec.name] = _plain(getattr(event, spec.name))
    return data


def _plain(value: Any) -> Any:
    match value:
        case Parameters():
            return {"version": value.version, "functions": [f.name for f in value.functions]}
        case Episode():
            return {
                "id": value.id,
                "evaluation": value.job.evaluation,
                "task_id": value.job.task_id,
                "repeat": value.job.repeat,
                "score": value.score.value if value.score else None,
                "failure": value.failure.kind if value.failure else None,
                "end": value.end,
                "usage": _plain(value.usage),
            }
        case Event():
            return event_to_json(value)
        case Verdicts():
            return dataclasses.asdict(value)
        case Usage():
            return {**dataclasses.asdict(value), "cost_usd": value.cost_usd}
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case _ if isinstance(value, Edit):
            return edit_to_json(value)
    return value
