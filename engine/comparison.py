"""A comparison as the work of a run: the same tasks and repeats for every arm, side by side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from .arm import Arm
from .episode import Episode
from .errors import EvaluationVoid, FuncforgeError, ModelError
from .evaluation import Evaluation, summarise
from .events import EpisodeFinished, EvaluationStarted
from .pace import Lane, Pace
from .parameters import Parameters
from .run import Desk, Work
from .tasks import TaskSet
from .together import together
from .usage import NO_USAGE

AHEAD = 64  # episodes that one arm may be ahead of another


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a comparison leaves: an evaluation per arm, without scores and episodes."""

    arms: Mapping[str, Evaluation]  # arm's name -> its evaluation


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a comparison learns before it compares: a training that is a run of its own."""

    name: str  # unique in the comparison
    learn: Callable[[Desk], Awaitable[Parameters]]  # or finds what was learned before a stop


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """Which arms are compared, and on what.

    Lessons go on side by side, then all arms do: no arm is ahead because another had to learn.
    Every arm has a scheduler and a circuit of its own: what stops one stops no other. All share
    the run's budget, journal and limits, so that two arms at one provider share its rate.
    """

    tasks: TaskSet
    arms: tuple[Arm, ...]
    repeats: int = 1
    lessons: tuple[Lesson, ...] = ()

    def work(self) -> Work[Compared]:
        """Return the comparison as the work of a `Run`."""
        return Work(do=self._do, stopped_by=lambda _: "done")

    async def _do(self, desk: Desk) -> Compared:
        """Run all arms to their end.

        Raises:
            EvaluationVoid: Arms have no score; raised when all the others have theirs.
            BudgetExhausted, Interrupted, StoreError, ReplayDiffers: The run ends here.
        """
        learned, void = await self._learn(desk)
        arms = [_taught(arm, learned) for arm in self.arms if arm.name not in void]
        pace = Pace(ahead=AHEAD)
        lanes = [(arm, pace.lane()) for arm in arms]
        done: dict[str, Evaluation] = {}

        async def run(arm: Arm, lane: Lane) -> None:
            try:
                done[arm.name] = await self._evaluate(desk, arm, lane)
            except (EvaluationVoid, ModelError) as error:
                void[arm.name] = error
            except FuncforgeError as error:
                desk.stop(error)
                raise
            finally:
                lane.leave()

        await together(*(partial(run, arm, lane) for arm, lane in lanes))
        if void:
            raise _void(self.arms, void)
        return Compared(arms={arm.name: done[arm.name] for arm in self.arms})

    async def _learn(
        self, desk: Desk
    ) -> tuple[Mapping[str, Parameters], dict[str, FuncforgeError]]:
        """Return what the lessons leave, and why the arms of the others cannot begin."""
        learned: dict[str, Parameters] = {}
        failed: dict[str, FuncforgeError] = {}

        async def learn(lesson: Lesson) -> None:
            try:
                learned[lesson.name] = await lesson.learn(desk)
            except (EvaluationVoid, ModelError) as error:
                failed[lesson.name] = error
            except FuncforgeError as error:
                desk.stop(error)
                raise

        await together(*(partial(learn, lesson) for lesson in self.lessons))
        return learned, {arm.name: failed[arm.lesson] for arm in self.arms if arm.lesson in failed}

    async def _evaluate(self, desk: Desk, arm: Arm, lane: Lane) -> Evaluation:
        if arm.recorded is not None:
            return await self._take(desk, arm, arm.recorded())
        return await desk.branch(lane.gate).evaluate(
            arm.evaluation,
            arm.parameters,
            ((task, repeat) for task in self.tasks for repeat in range(self.repeats)),
            planned=len(self.tasks) * self.repeats,
            repeats=self.repeats,
            keep=False,
        )

    async def _take(self, desk: Desk, arm: Arm, recorded: Iterable[Episode]) -> Evaluation:
        """Take the episodes of an earlier run as this arm's. Nothing is asked, nothing is paid."""
        await desk.bus.publish(
            EvaluationStarted(
                run_id="",
                evaluation=arm.evaluation,
                parameters=arm.parameters,
                episodes=len(self.tasks) * self.repeats,
            )
        )
        outcomes: dict[str, dict[int, float | None]] = {}
        usage = NO_USAGE
        for episode in recorded:
            job = replace(
                episode.job,
                evaluation=arm.evaluation,
                parameters_version=arm.parameters.version,
            )
            if job.repeat >= self.repeats:
                continue
            taken = replace(episode, id=job.episode_id, run_id=desk.bus.run_id, job=job)
            await desk.bus.publish(EpisodeFinished(run_id="", episode=taken))
            score = taken.score.value if taken.score else None
            outcomes.setdefault(job.task_id, {})[job.repeat] = score
            usage += taken.usage
        scores = {
            task: tuple(found[repeat] for repeat in sorted(found))
            for task, found in sorted(outcomes.items())
        }
        summary = summarise(arm.evaluation, arm.parameters.version, scores, usage=usage)
        await desk.bus.publish(summary)
        return Evaluation(summary=summary, scores={}, episodes=())


def _taught(arm: Arm, learned: Mapping[str, Parameters]) -> Arm:
    if not arm.lesson:
        return arm
    return replace(arm, parameters=replace(learned[arm.lesson], model=arm.parameters.model))


def _void(arms: tuple[Arm, ...], void: Mapping[str, FuncforgeError]) -> EvaluationVoid:
    told = "; ".join(f"arm {arm.name!r}: {void[arm.name]}" for arm in arms if arm.name in void)
    counted = [error for error in void.values() if isinstance(error, EvaluationVoid)]
    causes: dict[str, int] = {}
    for error in counted:
        for kind, count in error.causes.items():
            causes[kind] = causes.get(kind, 0) + count
    return EvaluationVoid(
        f"{len(void)} of {len(arms)} arms have no score: {told}",
        failed=sum(error.failed for error in counted),
        episodes=sum(error.episodes for error in counted),
        causes=causes,
    )
