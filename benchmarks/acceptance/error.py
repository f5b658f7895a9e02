"""A/A: how many 10-step runs without any true change accept something?"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from funcforge.engine.acceptances.climbing import Climbing
from funcforge.engine.acceptances.sequential import Sequential
from scipy.stats import beta

from benchmarks.acceptance.climb import Climb
from benchmarks.acceptance.gate import Gate
from benchmarks.acceptance.outcomes import Array, Outcomes
from benchmarks.acceptance.rules import STEP_BY_STEP, no_lower, paired_test, strictly_higher

STEPS = 10


@dataclass
class Row:
    """One rule in one setting."""

    model: Outcomes
    tasks: int
    alpha: float | None
    rule: str
    runs: int
    wrong: int
    episodes: float  # of both sides, a step
    seconds: float  # of CPU

    @property
    def upper(self) -> float:
        """One-sided 95 % Clopper-Pearson bound of the share of wrong runs."""
        if self.wrong == self.runs:
            return 1.0
        return float(beta.ppf(0.95, self.wrong + 1, self.runs - self.wrong))


def step_by_step(model: Outcomes, truth: Array, alpha: float, seed: int) -> tuple[int, float]:
    """Return the runs that accepted anything, and the episodes of a step."""
    policy = Sequential(alpha=alpha, steps=STEPS)
    gate = Gate(policy, model, truth, np.random.default_rng(seed))
    wrong = np.zeros(len(truth), bool)
    spent = float(truth.shape[1])
    for _ in range(STEPS):
        step = gate.step(truth)
        wrong |= step.accepted
        spent += float((step.candidate_episodes + step.incumbent_episodes).mean())
    return int(wrong.sum()), spent / STEPS


def sequential(model: Outcomes, truth: Array, alpha: float, seed: int) -> tuple[int, float]:
    """Return the runs that accepted anything, and the episodes of a step."""
    climb = Climb(Climbing(alpha=alpha), model, truth, np.random.default_rng(seed))
    wrong = np.zeros(len(truth), bool)
    for _ in range(STEPS):
        wrong |= climb.step(truth)
    wrong |= climb.confirm()
    return int(wrong.sum()), float(climb.spent.mean()) / STEPS


def other_rules(model: Outcomes, truth: Array, seed: int) -> Iterator[tuple[str, int, float]]:
    """Play the rules that score every task once."""
    tasks = truth.shape[1]
    rules = {
        "paper, stored": (False, strictly_higher),
        "paper, re-scored": (True, strictly_higher),
        "ties count, re-scored": (True, no_lower),
        "fixed test at 0.1 a step": (True, lambda b, a: paired_test(model, b, a, 0.1)),
        "fixed test at 0.1 a run": (True, lambda b, a: paired_test(model, b, a, 0.1 / STEPS)),
    }
    for name, (rescored, rule) in rules.items():
        rng = np.random.default_rng(seed)
        wrong = np.zeros(len(truth), bool)
        stored = model.scores(rng, truth)
        for _ in range(STEPS):
            before = model.scores(rng, truth) if rescored else stored
            wrong |= rule(before, model.scores(rng, truth))
        yield name, int(wrong.sum()), tasks * (2.0 if rescored else 1.0 + 1 / STEPS)


def rows(runs: int) -> Iterator[Row]:
    """Play all settings."""
    for name in ("fitted", "bootstrap"):
        for graded in (False, True):
            model = Outcomes(name, graded)
            for tasks in (20, 80, 200):
                truth = model.tasks(np.random.default_rng(tasks), runs, tasks)
                for rule, wrong, episodes in other_rules(model, truth, 7):
                    yield Row(model, tasks, None, rule, runs, wrong, episodes, 0.0)
                for alpha in (0.05, 0.1):
                    start = time.process_time()
                    wrong, episodes = sequential(model, truth, alpha, 11)
                    seconds = time.process_time() - start
                    yield Row(model, tasks, alpha, "sequential", runs, wrong, episodes, seconds)
                    start = time.process_time()
                    wrong, episodes = step_by_step(model, truth, alpha, 11)
                    seconds = time.process_time() - start
                    yield Row(model, tasks, alpha, STEP_BY_STEP, runs, wrong, episodes, seconds)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 2000):
        kind = "graded" if row.model.graded else "binary"
        print(
            f"{row.model.name} | {kind} | {row.tasks} | {row.alpha or ''} | {row.rule}"
            f" | {100 * row.wrong / row.runs:.1f} | {100 * row.upper:.1f}"
            f" | {row.episodes:.0f} | {row.seconds:.0f}",
            flush=True,
        )
