"""Where a run stands, folded from its events. What the live views draw."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from ...engine.arm import arm_of, is_arm
from ...engine.events import (
    EditProposed,
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    LimitChanged,
    ModelRetried,
    PartTold,
    RunFinished,
    RunStarted,
    StepDecided,
    StepStarted,
)
from ...engine.statistics import wilson
from ...engine.usage import NO_USAGE, Usage

_RATE_WINDOW_S = 10.0  # episodes per second are seen over this time
_Z95 = 1.959964  # of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """A score with its 95 % interval."""

    score: float
    low: float
    high: float
    tasks: int


@dataclass(slots=True, kw_only=True)
class Open:
    """An evaluation under way."""

    name: str
    version: str
    planned: int
    started_at_unix_s: float
    scored: int = 0
    failed: int = 0
    total: float = 0.0  # of the scores

    @property
    def left(self) -> int:
        """Episodes that have not ended."""
        return max(self.planned - self.scored - self.failed, 0)

    def accuracy(self) -> Accuracy | None:
        """Return what the episodes so far say."""
        if not self.scored:
            return None
        mean = min(self.total / self.scored, 1.0)
        # for scores between 0 and 1 wider than need be: nothing varies more than zeros and ones
        low, high = wilson(mean, self.scored, _Z95)
        return Accuracy(score=mean, low=low, high=high, tasks=self.scored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One step of the history."""

    step: int
    outcome: str
    reason: str
    score: float | None


@dataclass(slots=True, kw_only=True)
class RunState:
    """All that a view shows of a run. Changed by `follow` only."""

    in_flight_limit: int
    deciding: str = "train"  # the split that proposals are decided on
    run_id: str = ""
    name: str = ""
    sandbox: str = ""
    resumed: bool = False
    phase: str = "starting"
    step: int = 0
    accepted: int = 0
    rejected: int = 0  # since the last acceptance
    edits: int = 0  # applied in this step
    incumbent_version: str = ""
    incumbent: Accuracy | None = None
    candidate: Accuracy | None = None
    test_before: Accuracy | None = None
    test_after: Accuracy | None = None
    functions: tuple[str, ...] = ()
    evaluations: dict[str, Open] = field(default_factory=dict)
    trial: dict[str, Open] = field(default_factory=dict)  # version -> all waves of this step
    arms: dict[str, Accuracy | None] = field(default_factory=dict)  # of a comparison
    parts: dict[str, RunState] = field(default_factory=dict)  # runs begun for this one
    decisions: list[Decision] = field(default_factory=list)
    episodes: int = 0
    failed: int = 0
    retries: int = 0
    usage: Usage = NO_USAGE
    started_at_unix_s: float = 0.0
    now_unix_s: float = 0.0
    finished: RunFinished | None = None
    ended: deque[float] = field(default_factory=lambda: deque(maxlen=100_000))

    def follow(self, event: Event) -> None:
        """Take one event into account."""
        self.now_unix_s = max(self.now_unix_s, event.at_unix_s)
        match event:
            case RunStarted():
                self.run_id, self.name, self.sandbox = event.run_id, event.name, event.sandbox
                self.resumed, self.started_at_unix_s = event.resumed, event.at_unix_s
            case EvaluationStarted():
                self._evaluation_started(event)
            case EpisodeFinished():
                self._episode_finished(event)
            case EvaluationFinished():
                self._evaluation_finished(event)
            case StepStarted():
                self.phase, self.step, self.edits = "proposing", event.step, 0
                self.incumbent_version, self.candidate = event.incumbent_version, None
            case EditProposed():
                self.edits += not event.refused
            case StepDecided():
                self._decided(event)
            case ModelRetried():
                self.retries += 1
            case PartTold():
                limit, deciding = self.in_flight_limit, self.deciding
                part = self.parts.setdefault(
                    event.part, RunState(in_flight_limit=limit, deciding=deciding)
                )
                part.follow(event.event)
                self.phase = "training"
            case LimitChanged():
                self.in_flight_limit = event.in_flight_limit
            case RunFinished():
                self.phase, self.finished = event.status, event
                self.usage = event.usage if event.usage.calls else self.usage

    @property
    def in_flight(self) -> int:
        """Episodes that are out, as far as events tell: planned ones within the limit."""
        if self.arms:  # each arm has the limit for itself
            return sum(min(one.left, self.in_flight_limit) for one in self.evaluations.values())
        return min(sum(one.left for one in self.evaluations.values()), self.in_flight_limit)

    def episodes_per_s(self, now_unix_s: float) -> float:
        """Return the rate over the last seconds."""
        while self.ended and self.ended[0] < now_unix_s - _RATE_WINDOW_S:
            self.ended.popleft()
        window_s = min(_RATE_WINDOW_S, max(now_unix_s - self.started_at_unix_s, 1.0))
        return len(self.ended) / window_s

    def eta_s(self, now_unix_s: float) -> float | None:
        """Return when the evaluations under way will end, in seconds; None: cannot tell."""
        left = sum(one.left for one in self.evaluations.values())
        rate = self.episodes_per_s(now_unix_s)
        return left / rate if left and rate else None

    def _evaluation_started(self, event: EvaluationStarted) -> None:
        version = event.parameters.version
        self.evaluations[event.evaluation] = Open(
            name=event.evaluation,
            version=version,
            planned=event.episodes,
            started_at_unix_s=event.at_unix_s,
        )
        if is_arm(event.evaluation):
            self.arms.setdefault(arm_of(event.evaluation), None)
        self.incumbent_version = self.incumbent_version or version
        self.phase = f"evaluating {event.evaluation}"
        if not self.functions:
            self.functions = tuple(function.name for function in event.parameters.functions)

    def _episode_finished(self, event: EpisodeFinished) -> None:
        episode = event.episode
        self.episodes += 1
        self.ended.append(event.at_unix_s)
        self.usage += episode.usage
        evaluation = self.evaluations.get(episode.job.evaluation)
        if episode.score is None:
            self.failed += 1
        if evaluation is None:
            return
        if episode.score is None:
            evaluation.failed += 1
        else:
            evaluation.scored += 1
            evaluation.total += episode.score.value
        if is_arm(evaluation.name):
            self.arms[arm_of(evaluation.name)] = evaluation.accuracy()
        if evaluation.name.startswith(f"{self.deciding}/") and episode.score is not None:
            waves = self.trial.setdefault(
                evaluation.version, replace(evaluation, scored=0, total=0)
            )
            waves.scored += 1
            waves.total += episode.score.value
            self._set_accuracy(evaluation.version, waves.accuracy())

    def _evaluation_finished(self, event: EvaluationFinished) -> None:
        self.evaluations.pop(event.evaluation, None)
        if not event.tasks:  # a wave that failed as a whole
            return
        accuracy = Accuracy(score=event.score, low=event.low, high=event.high, tasks=event.tasks)
        if is_arm(event.evaluation):
            self.arms[arm_of(event.evaluation)] = accuracy
        elif event.evaluation.startswith(f"{self.deciding}/"):
            waves = self.trial.get(event.parameters_version)
            if waves is None or waves.scored == event.episodes:
                self._set_accuracy(event.parameters_version, accuracy)
        elif event.evaluation == "test/before":
            self.test_before = accuracy
        elif event.evaluation.startswith("test/"):
            self.test_after = accuracy

    def _set_accuracy(self, version: str, accuracy: Accuracy | None) -> None:
        if version != self.incumbent_version:
            self.candidate = accuracy
        elif self.step == 0 or self.incumbent is None:
            self.incumbent = accuracy

    def _decided(self, event: StepDecided) -> None:
        self.decisions.append(
            Decision(step=event.step, outcome=event.outcome, reason=event.reason, score=event.score)
        )
        if event.outcome == "accepted":
            self.accepted, self.rejected = self.accepted + 1, 0
            self.incumbent, self.incumbent_version = self._judged(event), event.candidate.version
            self.functions = tuple(function.name for function in event.candidate.functions)
        elif event.outcome == "promising":
            self.rejected = 0
        elif event.outcome == "rolled_back":
            self.rejected += 1
        self.candidate = None
        self.trial.clear()

    def _judged(self, event: StepDecided) -> Accuracy | None:
        """Return the candidate's score as the decision estimates it, over all its waves."""
        score, low, high = event.score, event.score_low, event.score_high
        tasks = event.details.get("tasks")
        if score is None or low is None or high is None or not isinstance(tasks, int):
            return self.candidate
        return Accuracy(score=score, low=low, high=high, tasks=tasks)
