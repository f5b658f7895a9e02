"""Which outcomes stand for which planned episode, when some of them failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..acceptance import Scores, Wave
from ..statistics import check_score

TRIES = 3  # a task whose episodes fail this often in a row is left out of the decision


class Outcomes:
    """The outcomes of one side, task by task, without the failed ones.

    A failed episode is asked again as the next repeat. That leaves the test valid as long as
    failing does not depend on the score that would have been reached.
    """

    def __init__(
        self, scores: Scores, tasks: Sequence[str], skip: Mapping[str, int] | None = None
    ) -> None:
        self._asked = {task: len(scores.get(task, ())) for task in tasks}
        self._scored: dict[str, list[float]] = {}
        self._places: dict[str, list[int]] = {}  # of the scored ones among all outcomes
        self._failures: dict[str, int] = {}
        self._start: dict[str, int] = {}
        for task in tasks:
            outcomes = scores.get(task, ())
            for repeat, score in enumerate(outcomes):
                check_score(score, f"task {task!r}, repeat {repeat}")
            start = self._start[task] = (skip or {}).get(task, 0)
            used = outcomes[start:]
            self._places[task] = [
                start + place for place, score in enumerate(used) if score is not None
            ]
            self._scored[task] = [score for score in used if score is not None]
            self._failures[task] = _trailing_failures(used)

    def get(self, task: str, number: int) -> float | None:
        """Return the scored outcome `number` (from 0) of `task`, or None if there is none yet."""
        scored = self._scored[task]
        return scored[number] if number < len(scored) else None

    def position(self, task: str, number: int) -> int:
        """Return how many outcomes of `task`, failed ones as well, hold `number` scored ones."""
        return self._places[task][number - 1] + 1 if number else self._start[task]

    def missing(self, wanted: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """Return what to ask so that each task has `wanted` scored outcomes: (task, repeat)."""
        return tuple(
            (task, self._asked[task] + more)
            for task, number in wanted.items()
            for more in range(number - len(self._scored[task]))
        )

    def hopeless(self, wanted: Mapping[str, int]) -> frozenset[str]:
        """Return the tasks that lack outcomes and have failed too often to be asked again."""
        return frozenset(
            task
            for task, number in wanted.items()
            if number > len(self._scored[task]) and self._failures[task] >= TRIES
        )


def asked(
    ours: Outcomes, wanted: Mapping[str, int], theirs: Outcomes, rounds: Mapping[str, int]
) -> Wave | frozenset[str]:
    """Return the wave that gives the candidate `wanted` and the incumbent `rounds` outcomes.

    Or the tasks that have failed too often to be asked again, if there are any.
    """
    hopeless = ours.hopeless(wanted) | theirs.hopeless(rounds)
    if hopeless:
        return hopeless
    return Wave(candidate=ours.missing(wanted), incumbent=theirs.missing(rounds))


def _trailing_failures(outcomes: Sequence[float | None]) -> int:
    count = 0
    for score in reversed(outcomes):
        if score is not None:
            break
        count += 1
    return count
