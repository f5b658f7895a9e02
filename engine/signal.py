"""The signal of a training: gold scores, a critic's judgements, or each where it belongs.

A critic's score stands wherever a gold score stands, so that one trainer, acceptance, roll-back
and budget serve both. The other one, where there is one, is kept beside it and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .critic import Critic, blind_episode, blind_task
from .episode import Episode, Score, Signal
from .errors import ScorerError
from .ports import Scorer
from .tasks import Task

AcceptBy = Literal["signal", "gold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalScorer:
    """A `Scorer` that asks a critic, and the gold scorer where there is something to compare.

    Args:
        gold: The task set's scorer.
        critic: It is shown neither target nor gold score.
        signal: Whose verdict is learned from.
        accept_by: "gold": held-out episodes, which accept and report, go by the scorer.
        needs_target: Whether the gold scorer has nothing to say of a task without a target.
    """

    gold: Scorer
    critic: Critic
    signal: Signal = "critic"
    accept_by: AcceptBy = "signal"
    needs_target: bool = True

    async def __call__(self, task: Task, episode: Episode) -> Score:
        """Score an episode by both.

        Raises:
            ScorerError: Gold is to decide and there is none, or a scorer failed.
            ModelError, BudgetExhausted: As for any call of a model.
        """
        by = self._by(episode)
        gold: Score | None = None
        if task.target is not None or not self.needs_target:
            gold = await self.gold(task, episode)
        elif by == "gold":
            raise ScorerError(f"task {task.id} has no target, and its score is to decide")
        judgement = await self.critic.judge(blind_task(task), blind_episode(episode))
        if by == "gold":
            assert gold is not None
            value, comment = gold.value, gold.comment
        else:
            value, comment = judgement.score, judgement.reason
        return Score(
            value=value,
            comment=comment,
            by=by,
            gold=gold.value if gold else None,
            judgement=judgement,
        )

    def _by(self, episode: Episode) -> Signal:
        if self.signal == "gold":
            return "gold"
        held_out = episode.job.evaluation.partition("/")[0] in ("validation", "test")
        return "gold" if held_out and self.accept_by == "gold" else "critic"
