"""What the incumbent did on the training tasks: the execution history H of Algorithm 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .episode import Episode
from .evaluation import Evaluation, Evaluator
from .optimizer import Batch
from .parameters import Parameters
from .ports import RunStore
from .progress import Progress
from .tasks import Task, TaskSet, split_key


class History:
    """Holds one episode of the incumbent for each training task that it was run on.

    Args:
        batch_size: Tasks a step, drawn anew by seed; None: all of them.
        targets: Whether the optimizer may read the tasks' targets.
        comments: Whether it may read the scorer's comments.
    """

    def __init__(
        self,
        tasks: TaskSet,
        *,
        seed: int,
        batch_size: int | None,
        targets: bool,
        comments: bool,
    ) -> None:
        self._tasks = tasks
        self._seed = seed
        self._batch_size = batch_size
        self._targets = targets
        self._comments = comments
        self._episodes: dict[str, Episode] = {}

    def sample(self, step: int) -> frozenset[str]:
        """Return the ids of the step's batch."""
        ids = [task.id for task in self._tasks]
        if self._batch_size is None or self._batch_size >= len(ids):
            return frozenset(ids)
        seed = self._seed * 1_000_003 + step
        return frozenset(sorted(ids, key=lambda i: split_key(seed, i))[: self._batch_size])

    async def restore(self, store: RunStore, run_id: str, progress: Progress) -> None:
        """Read the incumbent's episodes back after a stop."""
        for evaluation in progress.history:
            async for episode in store.episodes(run_id, evaluation):
                if episode.job.parameters_version == progress.incumbent and episode.score:
                    self._episodes.setdefault(episode.job.task_id, episode)

    async def complete(
        self,
        progress: Progress,
        evaluator: Evaluator,
        incumbent: Parameters,
        ids: frozenset[str],
        *,
        decides: bool,
    ) -> Progress:
        """Run the incumbent on the batch's tasks that it has not been run on yet.

        After an acceptance on all training tasks there are none; there are with sampled batches,
        and where acceptance looks at other tasks than the optimizer.

        Args:
            decides: Whether the training tasks also decide about acceptance.
        """
        missing = ids - set(progress.seen)
        if not missing:
            return progress
        evaluation = await evaluator.evaluate(
            f"train/{progress.step + 1}/history",
            incumbent,
            ((task, 0) for task in self._tasks if task.id in missing),
            planned=len(missing),
        )
        if decides:
            progress = replace(progress, scores={**progress.scores, **evaluation.scores})
        if len(missing) == len(self._tasks):
            progress = progress.with_summary("after/train", evaluation.summary)
        return self.take(progress, evaluation)

    def take(self, progress: Progress, evaluation: Evaluation) -> Progress:
        """Add an evaluation of the incumbent on training tasks."""
        self._add(evaluation.episodes)
        return replace(
            progress,
            history=(*progress.history, evaluation.summary.evaluation),
            seen=tuple(sorted({*progress.seen, *evaluation.scores})),
        )

    def start_over(self, episodes: Iterable[Episode]) -> None:
        """Begin the history of a new incumbent."""
        self._episodes = {}
        self._add(episodes)

    def batch(self, incumbent: Parameters, ids: frozenset[str]) -> Batch:
        """Return what the optimizer may see of the incumbent's episodes."""
        episodes = tuple(self._episodes[i] for i in sorted(ids) if i in self._episodes)
        return Batch(
            parameters=incumbent,
            episodes=episodes,
            tasks={task.id: self._shown(task) for task in self._tasks if task.id in ids},
            failed=len(ids) - len(episodes),
            comments=self._comments,
        )

    def touched(self, incumbent: Parameters, candidate: Parameters) -> frozenset[str]:
        """Return the tasks whose episodes called a function that would change."""
        kept = {function.hash for function in candidate.functions}
        gone = {function.hash for function in incumbent.functions} - kept
        return frozenset(
            task_id
            for task_id, episode in self._episodes.items()
            if any(call.function_hash in gone for call in episode.calls)
        )

    def _add(self, episodes: Iterable[Episode]) -> None:
        for episode in episodes:
            self._episodes.setdefault(episode.job.task_id, episode)

    def _shown(self, task: Task) -> Task:
        return task if self._targets else replace(task, target=None)
