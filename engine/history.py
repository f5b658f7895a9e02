"""What the version in use did on the training tasks: the execution history H of Algorithm 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .acceptance import joined
from .episode import Episode
from .evaluation import ALONE, Evaluation, Evaluator, SoFar
from .optimizer import Batch
from .parameters import Parameters
from .ports import RunStore
from .progress import Progress
from .tasks import Task, TaskSet, split_key

FEW = 20  # as many as a training of the paper has


class History:
    """Holds the incumbent's episodes on each training task that it was run on.

    Args:
        batch_size: Tasks a step, drawn anew by seed; None: all of them.
        samples: Episodes of each task that the optimizer sees (K of arXiv 2411.19547).
        targets: Whether the optimizer may read the tasks' targets.
        comments: Whether it may read the scorer's comments.
    """

    def __init__(
        self,
        tasks: TaskSet,
        *,
        seed: int,
        batch_size: int | None,
        samples: int = 1,
        targets: bool,
        comments: bool,
    ) -> None:
        self._tasks = tasks
        self._seed = seed
        self._batch_size = batch_size
        self._targets = targets
        self._comments = comments
        self._samples = samples
        self._episodes: dict[str, list[Episode]] = {}  # by task, each no more than `samples`

    def sample(self, step: int) -> frozenset[str]:
        """Return the ids of the step's batch."""
        ids = [task.id for task in self._tasks]
        if self._batch_size is None or self._batch_size >= len(ids):
            return frozenset(ids)
        seed = self._seed * 1_000_003 + step
        return frozenset(sorted(ids, key=lambda i: split_key(seed, i))[: self._batch_size])

    def few(self, progress: Progress, ids: frozenset[str]) -> frozenset[str]:
        """Return the tasks that a promising version is learned from where the same ones decide.

        Those that it was run on to be found promising, and others up to `FEW`. It may be rolled
        back yet, and a run on all tasks would cost far more than finding it did.
        """
        known = {task_id for task_id in ids if progress.seen.get(task_id)}
        others = sorted(ids - known, key=lambda i: split_key(self._seed, i))
        return frozenset([*known, *others[: max(0, FEW - len(known))]])

    async def restore(self, store: RunStore, run_id: str, progress: Progress) -> None:
        """Read the incumbent's episodes back after a stop."""
        for evaluation in progress.history:
            async for episode in store.episodes(run_id, evaluation):
                if episode.job.parameters_version == progress.building:
                    self._add([episode])

    async def complete(
        self,
        progress: Progress,
        evaluator: Evaluator,
        incumbent: Parameters,
        ids: frozenset[str],
        *,
        decides: bool,
    ) -> Progress:
        """Run the incumbent on the batch's tasks that it has not been run on often enough.

        After an acceptance on all training tasks there are none; there are with sampled batches,
        with several samples a task, and where acceptance looks at other tasks than the optimizer.

        Args:
            decides: Whether the training tasks also decide about acceptance.
        """
        missing = {
            task_id: range(progress.seen.get(task_id, 0), self._samples)
            for task_id in ids
            if progress.seen.get(task_id, 0) < self._samples
        }
        if not missing:
            return progress
        before = (progress.head_scores if progress.head else progress.scores) if decides else {}
        evaluation = await evaluator.evaluate(
            f"train/{progress.step + 1}/history",
            incumbent,
            ((task, repeat) for task in self._tasks for repeat in missing.get(task.id, ())),
            planned=sum(map(len, missing.values())),
            # few may be missing: what failed of the others before counts with them
            so_far=SoFar.of(before, len(ids)) if before else ALONE,
        )
        if decides and progress.head:
            more = joined(progress.head_scores, evaluation.scores)
            progress = replace(progress, head_scores=more)
        elif decides:
            progress = replace(progress, scores=joined(progress.scores, evaluation.scores))
        if len(missing) == len(self._tasks) and not progress.seen and not progress.head:
            progress = progress.with_summary("after/train", evaluation.summary)
        return self.take(progress, evaluation)

    def take(self, progress: Progress, evaluation: Evaluation) -> Progress:
        """Add an evaluation of the incumbent on training tasks."""
        self._add(evaluation.episodes)
        seen = dict(progress.seen)
        for task_id, scores in evaluation.scores.items():
            seen[task_id] = seen.get(task_id, 0) + len(scores)
        return replace(
            progress,
            history=(*progress.history, evaluation.summary.evaluation),
            seen=dict(sorted(seen.items())),
        )

    def start_over(self, episodes: Iterable[Episode]) -> None:
        """Begin the history of a new incumbent."""
        self._episodes = {}
        self._add(episodes)

    def batch(self, incumbent: Parameters, ids: frozenset[str]) -> Batch:
        """Return what the optimizer may see of the incumbent's episodes."""
        episodes = tuple(
            _without_gold(episode) for i in sorted(ids) for episode in self._episodes.get(i, ())
        )
        return Batch(
            parameters=incumbent,
            episodes=episodes,
            tasks={task.id: self._shown(task) for task in self._tasks if task.id in ids},
            failed=len(ids) * self._samples - len(episodes),
            comments=self._comments,
        )

    def touched(self, incumbent: Parameters, candidate: Parameters) -> frozenset[str]:
        """Return the tasks whose episodes called a function that would change."""
        kept = {function.hash for function in candidate.functions}
        gone = {function.hash for function in incumbent.functions} - kept
        return frozenset(
            task_id
            for task_id, episodes in self._episodes.items()
            if any(call.function_hash in gone for episode in episodes for call in episode.calls)
        )

    def _add(self, episodes: Iterable[Episode]) -> None:
        for episode in episodes:
            kept = self._episodes.setdefault(episode.job.task_id, [])
            if episode.score is not None and len(kept) < self._samples:
                kept.append(episode)

    def _shown(self, task: Task) -> Task:
        return task if self._targets else replace(task, target=None)


def _without_gold(episode: Episode) -> Episode:
    """Hide the gold score from an optimizer that is to learn from a critic."""
    score = episode.score
    if score is None or score.by == "gold" or score.gold is None:
        return episode
    return replace(episode, score=replace(score, gold=None))
