"""What earlier steps of a climb left for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..acceptance import Evidence
from .drawing import tasks_key

if TYPE_CHECKING:
    from .betting import Array


@dataclass(frozen=True, slots=True)
class Mean:
    """An estimated mean score over all tasks."""

    value: float
    episodes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier steps left for this one."""

    rounds: int = 0  # of the version in use that were looked at
    wealth: tuple[float, ...] = ()  # at each value of the nuisance; empty: `share` everywhere
    share: float = 1.0
    head: Mean | None = None  # of the promising version; None: proposals build on the one in use
    head_seen: Mapping[str, int] = field(default_factory=dict)  # outcomes that made it promising
    selected: Mapping[str, int] = field(default_factory=dict)  # outcomes that won the acceptance
    asked: Mapping[str, int] = field(default_factory=dict)  # outcomes when the last step ended

    @property
    def head_json(self) -> list[float] | None:
        """The promising version as details hold it."""
        return [self.head.value, self.head.episodes] if self.head else None

    @classmethod
    def of(cls, evidence: Evidence, tasks: tuple[str, ...]) -> Past:
        """Read it out of the verdicts of this run."""
        earlier = [verdict for verdict in evidence.earlier if "tasks_key" in verdict.details]
        if not earlier:
            return cls()
        last = earlier[-1].details
        same = last["tasks_key"] == tasks_key(tasks)
        head = last["head"] if evidence.head or evidence.confirm else None
        return cls(
            rounds=last["rounds"] if same else 0,
            wealth=tuple(last["wealth"]) if same else (),
            # with other tasks there is no common mean: the least that was left anywhere
            share=min(last["wealth"]),
            head=Mean(*head) if head else None,
            head_seen=last["head_seen"] if head else {},
            selected=last["selected"],
            asked=last["asked"],
        )


def sums(
    scores: Mapping[str, tuple[float | None, ...]], tasks: tuple[str, ...]
) -> tuple[Array, Array]:
    """Return the sums of the scored outcomes of each task, and their numbers."""
    import numpy as np

    known = [[one for one in scores.get(task, ()) if one is not None] for task in tasks]
    return (
        np.array([[sum(outcomes) for outcomes in known]], dtype=float),
        np.array([[len(outcomes) for outcomes in known]], dtype=float),
    )
