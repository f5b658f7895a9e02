"""The sealed test before against after: paired on tasks, once, when a training has ended."""

from __future__ import annotations

from .episode import Episode
from .events import SealedTestCompared
from .ports import RunStore
from .statistics import paired, paired_p_value

BEFORE, AFTER = "test/before", "test/after"


async def compare_sealed_test(
    store: RunStore, run_id: str, *, before: str, after: str, seed: int
) -> SealedTestCompared:
    """Compare the two evaluations of the sealed test that a training has paid for.

    Tasks without a score on both sides are dropped in pairs and counted. With one episode a task
    the test is McNemar's, with repeats or graded scores the sign-flip test of the task means;
    two-sided, because training may have harmed.

    Source: see `statistics.paired` and `statistics.paired_p_value`.

    Args:
        before: Parameters version that training began with.
        after: The best accepted version.
        seed: Of sampled sign patterns, where there are too many to enumerate.

    Raises:
        StoreError: The store cannot be read.
    """
    sides = {
        name: await _scores(store, run_id, name, version)
        for name, version in ((BEFORE, before), (AFTER, after))
    }
    tasks = sorted(sides[BEFORE].keys() | sides[AFTER].keys())
    difference = paired(sides[BEFORE], sides[AFTER], tasks)
    return SealedTestCompared(
        run_id="",
        before_version=before,
        after_version=after,
        before=difference.incumbent,
        after=difference.candidate,
        effect=difference.mean,
        low=difference.low,
        high=difference.high,
        p_value=paired_p_value(difference.differences, seed, two_sided=True),
        tasks=difference.tasks,
        dropped=difference.dropped,
        won=sum(value > 0 for value in difference.differences),
        lost=sum(value < 0 for value in difference.differences),
    )


async def _scores(
    store: RunStore, run_id: str, evaluation: str, version: str
) -> dict[str, list[float | None]]:
    """Return the scores by task. Only numbers are kept: a test set may be large."""
    scores: dict[str, list[float | None]] = {}
    async for episode in store.episodes(run_id, evaluation):
        if episode.job.parameters_version == version:
            scores.setdefault(episode.job.task_id, []).append(_value(episode))
    return scores


def _value(episode: Episode) -> float | None:
    return episode.score.value if episode.score else None
