"""A training as the work of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from .acceptance import Acceptance
from .evaluation import Evaluation
from .optimizer import Optimizer
from .parameters import Parameters
from .run import Desk, Work
from .tasks import Splits, TaskSet
from .trainer import Trained, Trainer
from .training_settings import TrainingSettings
from .tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, on what, by whom."""

    settings: TrainingSettings
    splits: Splits
    optimizer: Optimizer
    acceptance: Acceptance
    initial: Parameters = field(default_factory=Parameters)

    def work(self) -> Work[Trained]:
        """Return the training as the work of a `Run`."""
        return Work(do=self._do, stopped_by=lambda trained: trained.progress.stopped_by)

    async def _do(self, desk: Desk) -> Trained:
        trainer = Trainer(
            settings=self.settings,
            splits=self.splits,
            initial=self.initial,
            optimizer=self.optimizer,
            acceptance=self.acceptance,
            evaluator=desk.evaluator,
            calls=desk.calls,
            sandbox=desk.sandbox,
            bus=desk.bus,
            store=desk.store,
            tuning=_tuning(desk),
            critic=desk.critic,
        )
        return await trainer.train()


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """An evaluation without learning: one parameters version on one task set."""

    tasks: TaskSet
    parameters: Parameters = field(default_factory=Parameters)
    repeats: int = 1
    name: str = "test/0"

    def work(self) -> Work[Evaluation]:
        """Return the evaluation as the work of a `Run`."""
        return Work(do=self._do, stopped_by=lambda _: "done")

    async def _do(self, desk: Desk) -> Evaluation:
        return await desk.evaluator.evaluate(
            self.name,
            self.parameters,
            ((task, repeat) for task in self.tasks for repeat in range(self.repeats)),
            planned=len(self.tasks) * self.repeats,
            repeats=self.repeats,
            keep=False,
        )


def _tuning(desk: Desk) -> Tuning | None:
    if desk.tuner is None:
        return None
    return Tuning(
        desk.tuner,
        desk.calls,
        publish=desk.bus.publish,
        check=desk.evaluator.check_going,
        patience=desk.tuning_patience,
    )
