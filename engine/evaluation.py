"""Scores one parameters version on tasks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from .acceptance import Scores
from .batch import Batcher
from .bus import EventBus
from .calls import Circuit
from .episode import Episode, Job
from .errors import EvaluationVoid, FuncforgeError
from .events import (
    CriticDoubted,
    EvaluationFinished,
    EvaluationStarted,
    StraysDiscarded,
    Verdicts,
)
from .parameters import Parameters
from .reliability import DOUBTED, TELLING
from .scheduler import Scheduler
from .statistics import Estimate, Moments, interval
from .tasks import Task
from .usage import NO_USAGE, Usage

OUTAGE = 20  # this many failures in a row without a score in between: the provider is down


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A finished evaluation. Scores and episodes are empty unless they were to be kept."""

    summary: EvaluationFinished
    scores: Scores  # task id -> score of each repeat; None for a failed episode
    episodes: tuple[Episode, ...]  # scored ones, by (task, repeat)


FEWEST_JUDGED = 20  # episodes that the share of failed ones is taken of, if there are tasks enough


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What ended before of the same: whether too many failed is asked of a wave and these."""

    failed: int = 0
    ended: int = 0
    fewest: int = 1  # a share is taken of so many at least: a wave may ask again what failed alone

    @classmethod
    def of(cls, scores: Scores, tasks: int) -> SoFar:
        """Count the outcomes of a version on some of `tasks` tasks."""
        outcomes = [score for repeats in scores.values() for score in repeats]
        return cls(
            failed=outcomes.count(None),
            ended=len(outcomes),
            fewest=min(tasks, FEWEST_JUDGED),
        )

    def too_many(self, failed: int, ended: int, share: float) -> bool:
        """Whether `failed` of `ended` episodes more are over `share` of all."""
        return self.failed + failed > share * max(self.ended + ended, self.fewest)

    def none_scored(self, failed: int, ended: int) -> bool:
        """Whether there is nothing to go by after `failed` of `ended` episodes more."""
        all_ended = self.ended + ended
        return ended == 0 or (self.failed + failed == all_ended >= self.fewest)


ALONE = SoFar()


@dataclass(slots=True)
class _Series:
    """One judge's verdicts by task, counted into moments as tasks are closed."""

    open: dict[str, dict[int, float | None]] = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)
    lowest: float = math.inf
    highest: float = -math.inf
    episodes: int = 0

    def take(self, episode: Episode, value: float | None, place: int | None = None) -> None:
        """Note what the judge said of an episode; None: nothing."""
        place = episode.job.repeat if place is None else place
        self.open.setdefault(episode.job.task_id, {})[place] = value
        if value is not None:
            self.episodes += 1
            self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)

    def close(self, task_id: str) -> None:
        """Count a task and forget it."""
        outcomes = self.open.pop(task_id, {})
        scored = [outcomes[repeat] for repeat in sorted(outcomes)]
        values = [score for score in scored if score is not None]
        if values:
            self.moments.add(fmean(values))

    def verdicts(self) -> Verdicts | None:
        """Return what the judge said in all; None where it said nothing."""
        if not self.moments.tasks:
            return None
        estimate = self.moments.interval()
        return Verdicts(
            score=estimate.score, low=estimate.low, high=estimate.high, tasks=estimate.tasks
        )


@dataclass(slots=True)
class _Tally:
    """Counts episodes as they come, in any order, to a result that does not depend on it.

    Where nothing is kept, a task is forgotten once all its repeats are in: memory does not grow
    with the number of tasks.
    """

    keep: bool
    repeats: int  # episodes of each task; a task with fewer is closed at the end
    so_far: SoFar
    signal: _Series = field(default_factory=_Series)
    beside: Mapping[str, _Series] = field(
        default_factory=lambda: {"gold": _Series(), "critic": _Series()}
    )
    kept: list[Episode] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    example: str = ""  # the message of one failure
    usage: Usage = NO_USAGE
    episodes: int = 0
    failed: int = 0

    def take(self, episode: Episode) -> None:
        task_id, score = episode.job.task_id, episode.score
        self.usage += episode.usage
        if score is None:
            self.failed += 1
            failure = episode.failure
            self.causes[failure.kind if failure else "unknown"] += 1
            self.example = self.example or (failure.message if failure else "")
        else:
            self.episodes += 1
            if self.keep:
                self.kept.append(episode)
        self.signal.take(episode, score.value if score else None)
        if score is not None and score.judgement is not None:
            self.beside["critic"].take(episode, score.judgement.score)
            self.beside["gold"].take(episode, score.gold)
        if not self.keep and len(self.signal.open[task_id]) == self.repeats:
            for series in (self.signal, *self.beside.values()):
                series.close(task_id)

    def finish(self) -> Scores:
        """Count the tasks that are still open; return their scores, if they are kept."""
        kept = {
            task_id: tuple(outcomes[repeat] for repeat in sorted(outcomes))
            for task_id, outcomes in sorted(self.signal.open.items() if self.keep else ())
        }
        for series in (self.signal, *self.beside.values()):
            for task_id in list(series.open):
                series.close(task_id)
        return kept


class Evaluator:
    """Runs evaluations: jobs out through the scheduler, episodes back over the bus.

    Args:
        max_failed_share: More failed episodes than this share void an evaluation (invariant 1).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        bus: EventBus,
        batcher: Batcher,
        circuit: Circuit,
        *,
        max_failed_share: float = 0.1,
    ) -> None:
        self._scheduler = scheduler
        self._bus = bus
        self._batcher = batcher
        self._circuit = circuit
        self._max_failed_share = max_failed_share

    def check_going(self) -> None:
        """Return if the run is to go on.

        Raises:
            FuncforgeError: Why it was asked to stop.
        """
        if self._scheduler.stopping is not None:
            raise self._scheduler.stopping

    def stop(self, reason: FuncforgeError) -> None:
        """Send nothing more out on any evaluation that goes on; what is in flight is finished."""
        self._scheduler.stop(reason)

    async def evaluate(
        self,
        name: str,
        parameters: Parameters,
        tasks: Iterable[tuple[Task, int]],
        *,
        planned: int,
        repeats: int = 1,
        keep: bool = True,
        so_far: SoFar = ALONE,
    ) -> Evaluation:
        """Run every (task, repeat) with `parameters` and score it.

        Args:
            planned: How many there are; the tasks are streamed.
            repeats: How many there are of each task; needed where nothing is kept.
            keep: Whether to return scores and episodes; without, memory stays flat.
            so_far: What this is a further wave of.

        Raises:
            EvaluationVoid: Too many episodes failed for the score to mean anything.
            BudgetExhausted, Interrupted, StoreError: The run ends here, resumable.
            ModelError: The same fatal error came from several episodes.
        """
        try:
            tally = _Tally(keep, repeats, so_far)
            return await self._evaluate(name, parameters, tasks, planned, tally)
        except FuncforgeError as error:
            self._scheduler.stop(error)  # what goes on beside this one must not pay for more
            raise

    async def _evaluate(
        self,
        name: str,
        parameters: Parameters,
        tasks: Iterable[tuple[Task, int]],
        planned: int,
        tally: _Tally,
    ) -> Evaluation:
        await self._bus.publish(
            EvaluationStarted(run_id="", evaluation=name, parameters=parameters, episodes=planned)
        )
        jobs = (
            (
                Job(
                    evaluation=name,
                    parameters_version=parameters.version,
                    task_id=task.id,
                    repeat=repeat,
                ),
                task,
            )
            for task, repeat in tasks
        )
        with self._batcher.gather(name, parameters.version, tally.take) as gathering:
            await self._scheduler.run(
                jobs, parameters, stop=self._watch(name, planned, tally.so_far)
            )
            await self._bus.flush()
        if gathering.strays:
            await self._bus.publish(
                StraysDiscarded(run_id="", evaluation=name, count=gathering.strays)
            )
        return await self._finish(name, parameters, tally)

    async def _finish(self, name: str, parameters: Parameters, tally: _Tally) -> Evaluation:
        ended = tally.episodes + tally.failed
        so_far, share = tally.so_far, self._max_failed_share
        if so_far.too_many(tally.failed, ended, share) or so_far.none_scored(tally.failed, ended):
            raise _void(name, tally.failed, ended, tally.causes, tally.example)
        scores = tally.finish()
        summary = replace(
            _summary(
                name,
                parameters.version,
                tally.signal.moments.interval(),
                episodes=tally.episodes,
                failed=tally.failed,
                usage=tally.usage,
            ),
            gold=tally.beside["gold"].verdicts(),
            critic=tally.beside["critic"].verdicts(),
        )
        await self._bus.publish(summary)
        await self._doubt(name, tally.beside["critic"])
        tally.kept.sort(key=lambda episode: (episode.job.task_id, episode.job.repeat))
        return Evaluation(summary=summary, scores=scores, episodes=tuple(tally.kept))

    async def _doubt(self, name: str, critic: _Series) -> None:
        """Say so where a critic told no trajectory from another."""
        if critic.episodes >= DOUBTED and critic.highest - critic.lowest < TELLING:
            await self._bus.publish(
                CriticDoubted(
                    run_id="",
                    evaluation=name,
                    episodes=critic.episodes,
                    lowest=critic.lowest,
                    highest=critic.highest,
                )
            )

    def _watch(self, name: str, planned: int, so_far: SoFar) -> _Watch:
        return _Watch(name, planned, self._max_failed_share, self._circuit, so_far)


def summarise(
    evaluation: str, version: str, scores: Scores, *, usage: Usage, episodes: Sequence[Episode] = ()
) -> EvaluationFinished:
    """Return the summary of the outcomes of one version.

    Args:
        episodes: Those with the outcomes; only the verdicts beside the signal are taken of them.
    """
    outcomes = [score for repeats in scores.values() for score in repeats]
    failed = sum(score is None for score in outcomes)
    summary = _summary(
        evaluation,
        version,
        interval(scores),
        episodes=len(outcomes) - failed,
        failed=failed,
        usage=usage,
    )
    gold, critic = verdicts_of(episodes)
    return replace(summary, gold=gold, critic=critic)


def verdicts_of(episodes: Sequence[Episode]) -> tuple[Verdicts | None, Verdicts | None]:
    """Return what the scorer and what the critic said of episodes, where there is a critic."""
    gold, critic = _Series(), _Series()
    for place, episode in enumerate(episodes):
        if episode.score is not None and episode.score.judgement is not None:
            # waves may number their repeats alike
            critic.take(episode, episode.score.judgement.score, place)
            gold.take(episode, episode.score.gold, place)
    for series in (gold, critic):
        for task_id in list(series.open):
            series.close(task_id)
    return gold.verdicts(), critic.verdicts()


def _summary(
    evaluation: str, version: str, estimate: Estimate, *, episodes: int, failed: int, usage: Usage
) -> EvaluationFinished:
    return EvaluationFinished(
        run_id="",
        evaluation=evaluation,
        parameters_version=version,
        score=estimate.score if estimate.tasks else 0.0,  # of a wave that failed as a whole
        low=estimate.low,
        high=estimate.high,
        tasks=estimate.tasks,
        episodes=episodes,
        failed=failed,
        usage=usage,
    )


@dataclass(slots=True)
class _Watch:
    """Stops an evaluation that can no longer end well, before it costs more."""

    name: str
    planned: int
    max_failed_share: float
    circuit: Circuit
    so_far: SoFar
    failed: int = 0
    ended: int = 0
    in_a_row: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def __call__(self, episode: Episode) -> FuncforgeError | None:
        self.ended += 1
        if episode.failure is None:
            self.in_a_row = 0
            return None
        self.failed += 1
        self.in_a_row += 1
        self.causes[episode.failure.kind] += 1
        self.example = self.example or episode.failure.message
        if self.circuit.error is not None:
            return self.circuit.error
        hopeless = self.so_far.too_many(self.failed, self.planned, self.max_failed_share)
        if self.in_a_row >= OUTAGE or (hopeless and self.failed > 2):
            return _void(self.name, self.failed, self.ended, self.causes, self.example)
        return None


def _void(name: str, failed: int, ended: int, causes: Counter[str], example: str) -> EvaluationVoid:
    listed = ", ".join(f"{kind} {count}" for kind, count in causes.most_common())
    shown = f": {example.strip()[:500]}" if example else ""
    return EvaluationVoid(
        f"evaluation {name}: {failed} of {ended} episodes failed ({listed or 'none ended'}), so it "
        f"has no score{shown}. What was paid for is kept: resume the run when the cause is gone",
        failed=failed,
        episodes=ended,
        causes=dict(causes),
    )
