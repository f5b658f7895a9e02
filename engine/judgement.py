"""What a critic says of one trajectory: the signal of a training that has no right answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A critic's judgement of one episode, over all its votes."""

    episode_id: str
    score: float  # in [0, 1]; 1 is best: the mean over the votes
    dimensions: Mapping[str, float] = field(default_factory=dict)  # name -> in [0, 1], mean
    votes: tuple[float, ...] = ()  # the score of each vote, in their order
    agreement: float = 1.0  # in [0, 1]: 1 - mean distance of two votes; 1 for a single vote
    reason: str = ""  # of the vote that is nearest to the mean
    cut: bool = False  # whether the critic saw a shortened trajectory

    def to_json(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return {
            "score": self.score,
            "dimensions": dict(self.dimensions),
            "votes": list(self.votes),
            "agreement": self.agreement,
            "reason": self.reason,
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, episode_id: str, data: Mapping[str, Any]) -> Judgement:
        """Read what `to_json` wrote."""
        return cls(episode_id=episode_id, **{**data, "votes": tuple(data["votes"])})


def agreement_of(votes: Sequence[float]) -> float:
    """Return 1 - the mean distance of two votes; 1 where there is only one."""
    if len(votes) < 2:
        return 1.0
    return 1.0 - fmean(abs(one - other) for one, other in combinations(votes, 2))


def pooled(judgements: Sequence[Judgement]) -> Judgement:
    """Return one judgement of equal trajectories: all their votes together.

    Raises:
        ValueError: There is none.
    """
    if not judgements:
        raise ValueError("there is no judgement to pool")
    first = judgements[0]
    if len(judgements) == 1:
        return first
    votes = tuple(vote for one in judgements for vote in (one.votes or (one.score,)))
    score = fmean(votes)
    names = [name for name in first.dimensions if all(name in one.dimensions for one in judgements)]
    return Judgement(
        episode_id=first.episode_id,
        score=score,
        dimensions={name: fmean(one.dimensions[name] for one in judgements) for name in names},
        votes=votes,
        agreement=agreement_of(votes),
        reason=min(judgements, key=lambda one: abs(one.score - score)).reason,
        cut=any(one.cut for one in judgements),
    )
