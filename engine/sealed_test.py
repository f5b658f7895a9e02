"""The sealed test before against after: paired on tasks, once, when a training has ended.

It may run beside the step that ends the training unless it is accepted. Nothing looks at what it
finds before the training has ended, so no decision hangs on it; and it runs to its end whatever
the step decides, so the rows do not hang on how much is in flight. An acceptance in that step is
what it may have been paid for in vain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from .episode import Episode
from .errors import FuncforgeError
from .evaluation import Evaluation, Evaluator
from .events import SealedTestCompared
from .ports import RunStore
from .progress import Progress
from .statistics import paired, paired_p_value
from .stopping import Stopping
from .together import together

BEFORE, AFTER = "test/before", "test/after"


def after_name(progress: Progress) -> str:
    """Return the name of the sealed test of the best version; the last one of them counts."""
    return AFTER if progress.tested_in_vain == 0 else f"{AFTER}.{progress.tested_in_vain + 1}"


def may_end_with_it(progress: Progress, stopping: Stopping) -> bool:
    """Whether the training ends with the next step unless that step is accepted.

    Not where proposals build on a promising version: that is put to the proof first.
    """
    ends = stopping.reason(
        accepted=progress.accepted,
        rejected=progress.rejected + 1,
        step=progress.step + 1,
        score=None,
    )
    return ends is not None and not progress.head and not progress.knows("test", progress.incumbent)


async def beside_step(
    progress: Progress,
    evaluator: Evaluator,
    take_step: Callable[[], Awaitable[Progress]],
    test: Callable[[], Awaitable[Evaluation]],
) -> Progress:
    """Take a step, score the incumbent on the sealed test beside it, and join the two.

    Raises:
        FuncforgeError: What either of them raises, once what is in flight of the other has ended.
    """
    stepped: list[Progress] = []
    tested: list[Evaluation] = []

    async def step() -> None:
        try:
            stepped.append(await take_step())
        except FuncforgeError as error:
            evaluator.stop(error)  # the run ends here: no more is to be paid for beside it
            raise

    async def score() -> None:
        tested.append(await test())

    await together(step, score)
    [after], [evaluation] = stepped, tested
    if after.incumbent == progress.incumbent:
        return after.with_summary("after/test", evaluation.summary)
    return replace(after, tested_in_vain=after.tested_in_vain + 1)


async def compare_sealed_test(
    store: RunStore, run_id: str, *, before: str, after: tuple[str, str], seed: int
) -> SealedTestCompared:
    """Compare the two evaluations of the sealed test that a training has paid for.

    Tasks without a score on both sides are dropped in pairs and counted. With one episode a task
    the test is McNemar's, with repeats or graded scores the sign-flip test of the task means;
    two-sided, because training may have harmed.

    Source: see `statistics.paired` and `statistics.paired_p_value`.

    Args:
        before: Parameters version that training began with.
        after: The evaluation's name and the best accepted version.
        seed: Of sampled sign patterns, where there are too many to enumerate.

    Raises:
        StoreError: The store cannot be read.
    """
    name, version = after
    first = await _scores(store, run_id, BEFORE, before)
    last = await _scores(store, run_id, name, version)
    tasks = sorted(first.keys() | last.keys())
    difference = paired(first, last, tasks)
    return SealedTestCompared(
        run_id="",
        before_version=before,
        after_version=version,
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
