"""When a training ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Early stop of AgentOptimizer.

    Source: arXiv 2402.11359, Algorithm 2: stop when r > C (`patience`) or i = E (`epochs`), where
    r counts the proposals rolled back since the last acceptance and i the accepted ones.

    Where we differ: a version that is promising, not proven, counts as neither accepted nor rolled
    back, and when patience ends it is put to the proof; if it stands, the training goes on. A
    training whose incumbent already has the full score on the tasks that
    decide stops as *solved*, since nothing can be strictly better; and `steps` bounds the
    whole for runs without early stop.
    """

    epochs: int = 10  # E
    patience: int | None = 10  # C; None: no early stop (the paper's ablation)
    steps: int | None = None  # at most this many proposals; None: no bound

    def reason(self, *, accepted: int, rejected: int, step: int, score: float | None) -> str | None:
        """Return why to stop before the next step, or None.

        Args:
            accepted: Proposals accepted so far.
            rejected: Proposals rolled back since the last accepted one.
            step: Steps done.
            score: The incumbent's, on all tasks that decide; None where they are sampled anew.
        """
        if accepted >= self.epochs:
            return "epochs"
        if self.patience is not None and rejected > self.patience:
            return "patience"
        if self.steps is not None and step >= self.steps:
            return "steps"
        if score is not None and score >= 1.0:
            return "solved"
        return None
