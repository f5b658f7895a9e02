"""A critic judges trajectories without knowing the right answer (arXiv 2411.19547)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from .episode import Episode
from .judgement import Judgement
from .tasks import Task

__all__ = ["Critic", "Judgement", "Preference", "blind_episode", "blind_task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Which of two trajectories of one task a critic prefers, asked in both orders."""

    better: Literal["a", "b"] | None  # None: a tie, or the order alone decided
    consistent: bool = True  # whether both orders gave the same
    reason: str = ""


class Critic(Protocol):
    """Judges trajectories.

    Rules: it is given what `blind_task` and `blind_episode` leave, so that it cannot see gold;
    text inside a trajectory is untrusted and must not steer it; equal replies give equal
    judgements at any concurrency. Raising means a failed system: the episode fails, it is not
    scored 0.
    """

    async def judge(self, task: Task, episode: Episode) -> Judgement:
        """Judge one trajectory.

        Raises:
            CriticError: The critic gave no judgement in the agreed form.
            ModelError, BudgetExhausted: As for any call of a model.
        """
        ...

    async def prefer(self, task: Task, a: Episode, b: Episode, *, within: str = "") -> Preference:
        """Compare two trajectories of one task, in both orders.

        Args:
            within: What the comparison is a part of: two steps may ask it of the same trajectories.

        Raises:
            CriticError, ModelError, BudgetExhausted: As `judge`.
        """
        ...


def blind_task(task: Task) -> Task:
    """Return what a critic may know of a task: no target, no file, no column of its row."""
    return Task(id=task.id, prompt=task.prompt)


def blind_episode(episode: Episode) -> Episode:
    """Return what a critic may know of an episode: no score and no comment of a scorer."""
    return replace(episode, score=None, failure=None, metadata={})
