"""Which of the sampled trajectories are good enough to learn from. Pure, and without chance.

Source: "Training Agents with Weakly Supervised Feedback from Large Language Models" (arXiv
2411.19547) learns from "a subset of good ones"; its rule was not found, so that all usual ones
are here. Equal trajectories of one task are merged first; ties go to the earlier task and
repeat, so that the order in which episodes ended is no matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .canonical import content_hash
from .conversations import own_turns
from .episode import Episode
from .errors import ConfigError
from .judgement import Judgement, pooled

StrategyName = Literal["threshold", "best_of_k", "top_share", "margin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """An episode and what is thought of it."""

    episode: Episode
    judgement: Judgement  # a gold score stands as a judgement with one vote
    copies: int = 1  # equal trajectories of the task that were merged into this one

    @property
    def score(self) -> float:
        """The signal that selection goes by, in [0, 1]."""
        return self.judgement.score

    @property
    def key(self) -> tuple[str, int]:
        """(task id, repeat): the fixed order in which ties are broken."""
        return (self.episode.job.task_id, self.episode.job.repeat)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePair:
    """Two trajectories of one task, one better than the other."""

    better: Trajectory
    worse: Trajectory

    @property
    def task_id(self) -> str:
        """The task that both are of."""
        return self.better.episode.job.task_id

    @property
    def margin(self) -> float:
        """How much better, in (0, 1]."""
        return self.better.score - self.worse.score


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a strategy chose, by (task, repeat)."""

    chosen: tuple[Trajectory, ...] = ()
    pairs: tuple[PreferencePair, ...] = ()


class Strategy(Protocol):
    """Chooses among trajectories. Pure: equal trajectories in any order, equal choice."""

    def select(self, trajectories: Iterable[Trajectory]) -> Selected: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Every trajectory that scores at least `minimum`."""

    minimum: float = 0.5

    def select(self, trajectories: Iterable[Trajectory]) -> Selected:
        """Choose."""
        merged = merge(trajectories)
        return Selected(chosen=tuple(t for t in merged if t.score >= self.minimum))


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfK:
    """The best trajectory of each task, if it scores at least `minimum`."""

    minimum: float = 0.5

    def select(self, trajectories: Iterable[Trajectory]) -> Selected:
        """Choose."""
        best = (_ranked(group)[0] for group in _by_task(merge(trajectories)))
        return Selected(chosen=tuple(t for t in best if t.score >= self.minimum))


@dataclass(frozen=True, slots=True, kw_only=True)
class TopShare:
    """The best share of all trajectories, with a cap per task: easy tasks must not fill it."""

    share: float = 0.25  # of the merged trajectories, rounded up
    per_task: int = 1
    minimum: float = 0.5

    def select(self, trajectories: Iterable[Trajectory]) -> Selected:
        """Choose."""
        merged = merge(trajectories)
        room = math.ceil(self.share * len(merged) - 1e-9)  # 0.1 * 30 is a little more than 3
        taken: dict[str, int] = {}
        chosen: list[Trajectory] = []
        for trajectory in _ranked(merged):
            task_id = trajectory.episode.job.task_id
            if len(chosen) == room or trajectory.score < self.minimum:
                break
            if taken.get(task_id, 0) < self.per_task:
                taken[task_id] = taken.get(task_id, 0) + 1
                chosen.append(trajectory)
        return Selected(chosen=tuple(sorted(chosen, key=lambda t: t.key)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """The best against the worst of each task, where they lie at least `margin` apart.

    Gives preference pairs; the better ones are chosen too. A task whose trajectories are all
    about as good says nothing about what to do better.
    """

    margin: float = 0.2
    minimum: float = 0.0  # the better one's score

    def select(self, trajectories: Iterable[Trajectory]) -> Selected:
        """Choose."""
        pairs = tuple(self._pairs(merge(trajectories)))
        return Selected(chosen=tuple(pair.better for pair in pairs), pairs=pairs)

    def _pairs(self, merged: Sequence[Trajectory]) -> Iterator[PreferencePair]:
        for group in _by_task(merged):
            ranked = _ranked(group)
            pair = PreferencePair(better=ranked[0], worse=ranked[-1])
            # 0.3 - 0.1 is a little less than 0.2
            apart = pair.margin > 0 and pair.margin >= self.margin - 1e-9
            if apart and ranked[0].score >= self.minimum:
                yield pair


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """Which strategy, and its numbers; each strategy reads its own."""

    strategy: StrategyName = "best_of_k"
    minimum: float = 0.5
    share: float = 0.25  # top_share
    per_task: int = 1  # top_share
    margin: float = 0.2  # margin


def make_strategy(settings: SelectionSettings) -> Strategy:
    """Build a strategy.

    Raises:
        ConfigError: A number is out of its range.
    """
    for name in ("minimum", "share", "margin"):
        value = getattr(settings, name)
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"{value!r} is not in [0, 1]", key=f"selection.{name}")
    if settings.per_task < 1:
        raise ConfigError("must be at least 1", key="selection.per_task")
    match settings.strategy:
        case "threshold":
            return Threshold(minimum=settings.minimum)
        case "best_of_k":
            return BestOfK(minimum=settings.minimum)
        case "top_share":
            return TopShare(
                share=settings.share, per_task=settings.per_task, minimum=settings.minimum
            )
        case "margin":
            return Margin(margin=settings.margin, minimum=settings.minimum)


def trajectories_of(episodes: Iterable[Episode]) -> list[Trajectory]:
    """Return scored episodes with the verdict that is their signal; failed ones are left out."""
    return [
        Trajectory(episode=episode, judgement=_signal(episode))
        for episode in episodes
        if episode.score is not None
    ]


def merge(trajectories: Iterable[Trajectory]) -> tuple[Trajectory, ...]:
    """Merge equal trajectories of a task into the earliest, with all their votes."""
    groups: dict[str, list[Trajectory]] = {}
    for trajectory in sorted(trajectories, key=lambda t: t.key):
        groups.setdefault(fingerprint(trajectory.episode), []).append(trajectory)
    return tuple(
        Trajectory(
            episode=group[0].episode,
            judgement=pooled([trajectory.judgement for trajectory in group]),
            copies=sum(trajectory.copies for trajectory in group),
        )
        for group in groups.values()
    )


def fingerprint(episode: Episode) -> str:
    """Return what makes two trajectories of a task equal: all but the ids of calls."""
    return content_hash(
        [
            episode.job.task_id,
            episode.answer,
            [
                [m.role, m.content, [[call.name, call.arguments] for call in m.tool_calls]]
                for m in own_turns(episode)
            ],
        ]
    )


def _signal(episode: Episode) -> Judgement:
    score = episode.score
    assert score is not None
    if score.judgement is not None and score.by == "critic":
        return score.judgement
    return Judgement(
        episode_id=episode.id, score=score.value, votes=(score.value,), reason=score.comment
    )


def _ranked(group: Iterable[Trajectory]) -> list[Trajectory]:
    """Return the best first; ties by (task, repeat)."""
    return sorted(group, key=lambda t: (-t.score, t.key))


def _by_task(merged: Sequence[Trajectory]) -> Iterator[list[Trajectory]]:
    groups: dict[str, list[Trajectory]] = {}
    for trajectory in merged:
        groups.setdefault(trajectory.episode.job.task_id, []).append(trajectory)
    yield from groups.values()
