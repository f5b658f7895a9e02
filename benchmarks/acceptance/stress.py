"""A/A under attack: proposals without improvement that are chosen or measured unkindly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from funcforge.engine.acceptances.climbing import Climbing
from funcforge.engine.acceptances.sequential import Sequential
from scipy.stats import beta

from benchmarks.acceptance.climb import Climb
from benchmarks.acceptance.gate import Gate, Step
from benchmarks.acceptance.outcomes import Array, Outcomes, shifted
from benchmarks.acceptance.rules import STEP_BY_STEP

TASKS, STEPS = 80, 10

Player = Gate | Climb
Propose = Callable[[Player, np.random.Generator], Array]


@dataclass
class Row:
    """One attack."""

    attack: str
    policy: str
    runs: int
    wrong: int

    @property
    def upper(self) -> float:
        """One-sided 95 % Clopper-Pearson bound."""
        return float(beta.ppf(0.95, self.wrong + 1, self.runs - self.wrong))


def same(gate: Player, rng: np.random.Generator) -> Array:
    """Change nothing."""
    return gate.truth


def other_tasks(gate: Player, rng: np.random.Generator) -> Array:
    """Solve other tasks equally often: the weak null without the sharp one."""
    return rng.permuted(gate.truth, axis=1)


def flat(gate: Player, rng: np.random.Generator) -> Array:
    """Make all tasks equally hard: the largest variance at this mean."""
    return np.broadcast_to(gate.truth.mean(-1, keepdims=True), gate.truth.shape)


def when_unlucky(gate: Player, rng: np.random.Generator) -> Array:
    """Change nothing but variance where the incumbent's score is too low, and harm elsewhere."""
    unlucky = gate.incumbent.mean(gate.every) < gate.truth.mean(-1)
    return np.where(unlucky[:, None], flat(gate, rng), shifted(gate.truth, -0.05))


ATTACKS: dict[str, tuple[Propose, float, float]] = {
    "no change": (same, 0.0, 0.0),
    "other tasks solved equally often": (other_tasks, 0.0, 0.0),
    "all tasks made equally hard": (flat, 0.0, 0.0),
    "chosen by looking at the incumbent's luck": (when_unlucky, 0.0, 0.0),
    "provider drifts up 3 points, not allowed for": (same, 0.03, 0.0),
    "provider drifts up 3 points, drift = 0.03": (same, 0.03, 0.03),
}


def rows(runs: int) -> Iterator[Row]:
    """Play all attacks."""
    model = Outcomes("fitted")
    truth = model.tasks(np.random.default_rng(80), runs, TASKS)
    truth = truth[truth.mean(-1) < 0.9]
    for attack, (propose, drift, allowed) in ATTACKS.items():
        rng = np.random.default_rng(17)
        gate = Gate(
            Sequential(alpha=0.1, steps=STEPS, drift=allowed), model, truth, rng, drift=drift
        )
        yield Row(attack, STEP_BY_STEP, len(truth), _wrong(gate, propose, rng))
        rng = np.random.default_rng(18)
        climb = Climb(Climbing(alpha=0.1, drift=allowed), model, truth, rng, drift=drift)
        yield Row(attack, "sequential", len(truth), _wrong(climb, propose, rng))


def _wrong(player: Player, propose: Propose, rng: np.random.Generator) -> int:
    """Return how many runs accept any of the proposals."""
    wrong = np.zeros(player.runs, bool)
    for _ in range(STEPS):
        step = player.step(propose(player, rng))
        wrong |= step.accepted if isinstance(step, Step) else step
    if isinstance(player, Climb):
        wrong |= player.confirm()
    return int(wrong.sum())


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        print(
            f"{row.attack} | {row.policy} | {100 * row.wrong / row.runs:.1f}"
            f" | {100 * row.upper:.1f}",
            flush=True,
        )
