"""What it takes to prove a climb: a promising version that is believed to have the gain it has."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from funcforge.engine.acceptances.belief import Level
from funcforge.engine.acceptances.climbing import Climbing

from benchmarks.acceptance.climb import Climb
from benchmarks.acceptance.gate import nothing
from benchmarks.acceptance.outcomes import Outcomes, changed, shifted

START = 0.55
UNSURE = 0.05  # standard deviation of what is believed


@dataclass
class Row:
    """One gain on so many tasks."""

    tasks: int
    gain: float
    power: float
    candidate: float  # episodes, mean over the runs
    incumbent: float
    best: float  # episodes of the best test of this level for power 0.8, the incumbent known


def rows(runs: int) -> Iterator[Row]:
    """Prove gains of several sizes."""
    policy, model, normal = Climbing(), Outcomes("fitted"), NormalDist()
    quantile = normal.inv_cdf(1 - policy.alpha * policy.stake) + normal.inv_cdf(0.8)
    for tasks in (40, 150):
        for gain in (0.07, 0.1, 0.14, 0.2, 0.25):
            rng = np.random.default_rng(3)
            truth = model.tasks(rng, runs, tasks)
            truth = shifted(truth, START - truth.mean(-1))
            climb = Climb(policy, model, truth, rng)
            climb.candidate = changed(rng, truth, gain)
            climb.won, accepted = nothing(truth), np.zeros(runs, bool)
            believed = Level(climb.base_level.mean + gain, np.full(runs, UNSURE**2))
            climb.prove(climb.every, believed, accepted)
            variance = float((truth * (1 - truth)).mean())
            yield Row(
                tasks,
                gain,
                float(accepted.mean()),
                float(climb.won.count.sum(-1).mean()),
                float(climb.incumbent.rounds.mean()) * tasks,
                math.ceil(quantile**2 * variance / gain**2),
            )


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 600):
        print(
            f"{row.tasks} | +{100 * row.gain:.0f} | {100 * row.power:.0f} | {row.candidate:.0f}"
            f" | {row.incumbent:.0f} | {row.best}",
            flush=True,
        )
