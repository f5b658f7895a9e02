"""The candidates of one step race each other; the winner alone is put to the acceptance policy.

Sequential halving: every candidate plays the same tasks, the better half goes on and plays twice
as many more, until one is left. All that the race shows is which proposal to test. The policy
tests the winner on episodes of its own, with other repeats and seeds, so that the winner's luck is
left behind (no winner's curse) and every guarantee of a policy holds as it is: a proposal may
depend on all that was seen before, and the error budget pays for one test a step, not for each
candidate.

Source: Karnin, Koren & Somekh (2013), "Almost optimal exploration in multi-armed bandits",
section 3; we keep earlier laps' outcomes in the comparison. The same tasks for all: Maron & Moore
(1994), "Hoeffding races", section 4 (blocking). Selecting on some episodes and testing on fresh
ones: Cox (1975), "A note on data-splitting".
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from .acceptance import Scores, joined
from .evaluation import Evaluation, Evaluator
from .parameters import Parameters
from .tasks import TaskSet
from .together import together
from .trial import Pairs, selected
from .usage import NO_USAGE, Usage

# a policy counts repeats from 0 and never gets here: the race shares no seed with the test
FIRST_REPEAT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Raced:
    """How a race ended."""

    winner: int  # place among the candidates
    scores: tuple[float | None, ...]  # of each candidate, over its own laps; None: all failed
    episodes: int = 0
    usage: Usage = NO_USAGE

    @property
    def details(self) -> dict[str, Any]:
        """What is stored beside the decision; nothing where there was no race."""
        if not self.episodes:
            return {}
        return {
            "race": {
                "winner": self.winner, "scores": list(self.scores), "episodes": self.episodes
            }
        }  # fmt: skip


NO_RACE = Raced(winner=0, scores=())


async def race(
    evaluator: Evaluator,
    candidates: Sequence[Parameters],
    *,
    name: str,
    tasks: TaskSet,
    ids: Sequence[str],
    seed: str,
    first_lap: int,
) -> Raced:
    """Return which candidate did best.

    Args:
        name: Prefix of the evaluations.
        ids: Tasks to play, of `tasks`.
        seed: Fixes the order in which tasks are played.
        first_lap: Episodes of each candidate in the first lap; every later lap doubles them.

    Raises:
        EvaluationVoid, BudgetExhausted, Interrupted, ModelError, StoreError: See `Evaluator`.
    """
    course = _Course(ids, seed)
    scores: list[Scores] = [{} for _ in candidates]
    live, lap, start, spent = tuple(range(len(candidates))), first_lap, 0, NO_USAGE
    number = 0
    while len(live) > 1:
        number += 1
        pairs = course.pairs(start, start + lap)
        found: dict[int, Evaluation] = {}

        async def run(place: int, lap: int, pairs: Pairs, found: dict[int, Evaluation]) -> None:
            found[place] = await evaluator.evaluate(
                f"{name}/race{place}.{lap}",
                candidates[place],
                selected(tasks, pairs),
                planned=len(pairs),
            )

        await together(*(partial(run, place, number, pairs, found) for place in live))
        for place in live:
            scores[place] = joined(scores[place], found[place].scores)
            spent += found[place].summary.usage
        live, start, lap = better_half(scores, live), start + lap, 2 * lap
    return Raced(
        winner=live[0],
        scores=tuple(_mean(one) for one in scores),
        episodes=sum(len(outcomes) for one in scores for outcomes in one.values()),
        usage=spent,
    )


def better_half(scores: Sequence[Scores], live: tuple[int, ...]) -> tuple[int, ...]:
    """Return the half of the candidates `live`, rounded up, that scores higher.

    Compared is the mean over the episodes that every one of them has a score of: what failed for
    one is left out for all. The earlier proposal wins a tie.
    """
    played = [
        (task, repeat)
        for task, outcomes in scores[live[0]].items()
        for repeat in range(len(outcomes))
        if all(_score(scores[place], task, repeat) is not None for place in live)
    ]
    totals = {
        place: sum(_score(scores[place], task, repeat) or 0.0 for task, repeat in played)
        for place in live
    }
    ranked = sorted(live, key=lambda place: (-totals[place], place))
    return tuple(sorted(ranked[: (len(live) + 1) // 2]))


class _Course:
    """The tasks in the order in which all candidates play them, round after round."""

    def __init__(self, ids: Sequence[str], seed: str) -> None:
        self._order = sorted(ids)
        random.Random(seed).shuffle(self._order)  # noqa: S311 - a drawn order, no secret

    def pairs(self, start: int, end: int) -> Pairs:
        size = len(self._order)
        return [(self._order[i % size], FIRST_REPEAT + i // size) for i in range(start, end)]


def _score(scores: Scores, task: str, repeat: int) -> float | None:
    outcomes = scores.get(task, ())
    return outcomes[repeat] if repeat < len(outcomes) else None


def _mean(scores: Scores) -> float | None:
    known = [score for outcomes in scores.values() for score in outcomes if score is not None]
    return fmean(known) if known else None
