"""Lessons of a comparison: trainings that are runs of their own, and parts of it.

Each is stored, shown, resumed and replayed as any training; its id is the comparison's and a
number. It shares the comparison's budget, limits, sandbox and connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..engine.bus import EventBus
from ..engine.comparison import Lesson
from ..engine.errors import Interrupted, StoreError
from ..engine.events import EpisodeFinished, Event, PartTold
from ..engine.parameters import Parameters
from ..engine.ports import RunStore
from ..engine.progress import Progress
from ..engine.task_sets import PickedTaskSet
from ..engine.tasks import Splits
from .config import Config
from .config.sections import TrainedConfig

if TYPE_CHECKING:
    from ..engine.run import Desk


def lessons(config: Config, splits: Splits) -> tuple[Lesson, ...]:
    """Return the lessons of a comparison, in the order of its config.

    Raises:
        TaskError: One is of a category that none of its tasks is of.
    """
    found = config.compare.lessons() if config.compare else ()
    for one in found:
        for name, tasks in (("train", splits.train), ("validation", splits.validation)):
            if one.categories and isinstance(tasks, PickedTaskSet):
                tasks.only(one.categories, name)  # here, before anything is paid for
    return tuple(
        Lesson(name=one.name, learn=partial(_learn, lesson_config(config, one), one.name, number))
        for number, one in enumerate(found, start=1)
    )


def lesson_id(run_id: str, number: int) -> str:
    """Return the id of the run that a comparison's lesson is, counted from 1."""
    return f"{run_id}.{number}"


def lesson_ids(config: Config, run_id: str) -> tuple[str, ...]:
    """Return the ids of all lessons of a comparison."""
    found = config.compare.lessons() if config.compare else ()
    return tuple(lesson_id(run_id, number) for number, _ in enumerate(found, start=1))


def lesson_config(config: Config, lesson: TrainedConfig) -> Config:
    """Return the config of a lesson: the comparison's own, to train with.

    The splits are drawn as for the comparison, and only then narrowed to some categories: no task
    of its sealed test is ever learned from. The test is not scored: the comparison does that.
    """
    data = config.record()
    data["compare"] = None
    data["name"] = f"{config.name}: {lesson.name}"
    data["agent"]["model"] = lesson.model or config.agent.model
    data["training"]["test"] = False
    for split in ("train", "validation"):
        if data["tasks"][split] is not None and lesson.categories:
            data["tasks"][split]["only"] = list(lesson.categories)
    return Config.model_validate(data)


async def _learn(config: Config, name: str, number: int, desk: Desk) -> Parameters:
    """Train, go on with a training that was stopped, or take what one has learned before.

    Raises:
        FuncforgeError: What stopped the training.
    """
    from .opening import Opening
    from .wiring import open_training

    run_id = lesson_id(desk.run.id, number)
    stored = await desk.store.load_run(run_id)
    if stored is not None and stored.status == "done":
        return await _learned(desk.store, run_id)
    opening = Opening(
        run_id=run_id,
        resume=stored is not None,
        part_of=desk.run,
        sinks=(_Relay(desk.bus, name),),
    )
    async with open_training(config, opening) as training:
        outcome = await training.wait()
    if outcome.error is not None:
        raise outcome.error
    if outcome.value is None:
        raise Interrupted(f"the training {name!r} was stopped")
    return outcome.value.parameters


async def _learned(store: RunStore, run_id: str) -> Parameters:
    """Return the result of a training that is done."""
    checkpoint = await store.load_checkpoint(run_id)
    version = Progress.from_json(checkpoint.state).incumbent if checkpoint else ""
    parameters = await store.load_parameters(version)
    if parameters is None:
        raise StoreError(f"the result of run {run_id} is not in the database", path="")
    return parameters


@dataclass(frozen=True, slots=True)
class _Relay:
    """Tells the comparison's views how a lesson gets on; its episodes are not told one by one."""

    bus: EventBus
    part: str

    async def handle(self, event: Event) -> None:
        """Pass an event on."""
        if not isinstance(event, EpisodeFinished):
            await self.bus.publish(PartTold(run_id="", part=self.part, event=event))
