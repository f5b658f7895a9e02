"""Full simulated trainings: true accuracy reached per episode, good and bad proposals mixed.

The mixes are fresh: no setting of a policy was chosen on them. Gains are spread over tasks as the
recording shows (`outcomes.changed`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from funcforge.engine.acceptances.climbing import Climbing
from funcforge.engine.acceptances.sequential import Sequential

from benchmarks.acceptance.climb import Climb
from benchmarks.acceptance.gate import Gate
from benchmarks.acceptance.outcomes import (
    CHANGE,
    EPOCH_BOUND,
    Array,
    Outcomes,
    changed,
    shifted,
)
from benchmarks.acceptance.rules import STEP_BY_STEP, Bools, mcnemar, strictly_higher

PRICE = 10
EPISODES = (250, 500, 1000, 2000, 4000)
ALPHA = 0.1
RACING, FIRST_LAP = 4, 16
RACED = f", {RACING} race"
# start (None: as recorded), and share of proposals, mean gain; gains vary by 0.03 around it
MIXES: dict[str, tuple[float | None, tuple[tuple[float, float], ...]]] = {
    "one in six good": (0.5, ((1 / 6, 0.06), (0.5, 0.0), (1 / 3, -0.1))),
    "rare jackpots": (0.35, ((0.05, 0.2), (0.15, 0.05), (0.5, 0.0), (0.3, -0.05))),
    "small steps": (0.65, ((0.4, 0.04), (0.2, 0.0), (0.4, -0.04))),
    # ten proposals moved the mean by CHANGE, and versions differ by EPOCH_BOUND at most
    "as recorded": (None, ((1.0, CHANGE / 10),)),
}


@dataclass
class Row:
    """One rule under one mix."""

    tasks: int
    mix: str
    rule: str
    gained: tuple[float, ...]  # true accuracy over the start, mean over runs, at EPISODES
    area: float  # mean true gain over the EPISODES[-1] episodes
    priced: float  # the same where each step's proposals cost as much as PRICE episodes
    harmful: float  # accepted proposals a run that were worse by more than a point
    accepted: float  # a run


def _gains(rng: np.random.Generator, mix: str, runs: int) -> Array:
    parts = MIXES[mix][1]
    means = np.array([gain for _, gain in parts])
    kind = rng.choice(len(means), runs, p=[share for share, _ in parts])
    varies = EPOCH_BOUND if mix == "as recorded" else np.where(means[kind] == 0, 0.0, 0.03)
    gains: Array = means[kind] + rng.normal(0, 1, runs) * varies
    return gains


def _proposal(
    rng: np.random.Generator, mix: str, builds_on: Array, racing: bool
) -> tuple[Array, float]:
    """Return the true task means of a proposal for each run, and the episodes of its race."""
    count = RACING if racing else 1
    drawn = [changed(rng, builds_on, _gains(rng, mix, len(builds_on))) for _ in range(count)]
    if not racing:
        return drawn[0], 0.0
    means = np.stack(drawn, 1)  # (runs, candidates, tasks)
    live = np.tile(np.arange(count), (len(means), 1))
    runs, spent, start, lap = np.arange(len(means))[:, None], 0.0, 0, FIRST_LAP
    totals = np.zeros(means.shape[:2])
    order = rng.permuted(np.tile(np.arange(means.shape[2]), (len(means), 1)), axis=1)
    while live.shape[1] > 1:
        tasks = order[:, np.arange(start, start + lap) % means.shape[2]]
        chances = means[runs[:, :, None], live[:, :, None], tasks[:, None, :]]
        won = (rng.random(chances.shape) < chances).sum(-1)
        totals[runs, live] += won
        spent, start, lap = spent + lap * live.shape[1], start + lap, 2 * lap
        ranked = np.take_along_axis(live, np.argsort(-totals[runs, live], kind="stable"), 1)
        live = ranked[:, : (live.shape[1] + 1) // 2]
    return means[runs[:, 0], live[:, 0]], spent


class _Curve:
    """True accuracy against episodes, run by run."""

    def __init__(self, truth: Array) -> None:
        self.start = truth.mean(-1)
        self.tasks = truth.shape[1]
        self.spent = np.zeros(len(truth))
        self.at = [np.zeros(len(truth)) for _ in EPISODES]
        self.harmful = self.accepted = 0
        self.area, self.priced = np.zeros((2, len(truth)))  # of the true gain over episodes
        self.steps = 0

    def add(self, episodes: Array, before: Array, after: Array, accepted: Bools) -> None:
        reached = self.spent + episodes
        priced = PRICE * self.steps
        self.area += (before - self.start) * _within(self.spent, reached)
        self.priced += (before - self.start) * _within(
            self.spent + priced, reached + priced + PRICE
        )
        self.steps += 1
        for index, limit in enumerate(EPISODES):
            self.at[index] = np.where(reached <= limit, after, self.at[index])
        counted = accepted & (reached <= EPISODES[-1])
        self.harmful += int((counted & (after < before - 0.01)).sum())
        self.accepted += int(counted.sum())
        self.spent = reached

    def row(self, mix: str, rule: str) -> Row:
        runs = len(self.start)
        gained = tuple(
            float((np.where(at > 0, at, self.start) - self.start).mean()) for at in self.at
        )
        area, priced = (float(one.mean()) / EPISODES[-1] for one in (self.area, self.priced))
        harmful, accepted = self.harmful / runs, self.accepted / runs
        return Row(self.tasks, mix, rule, gained, area, priced, harmful, accepted)


def _within(start: Array, end: Array) -> Array:
    """Return how many of these episodes the trainings have."""
    within: Array = np.minimum(end, EPISODES[-1]) - np.minimum(start, EPISODES[-1])
    return within


def step_by_step(mix: str, truth: Array, seed: int, racing: bool) -> Row:
    """Train with the sequential policy, each step tested by itself."""
    rng = np.random.default_rng(seed)
    gate = Gate(Sequential(alpha=ALPHA, steps=10), Outcomes("fitted"), truth, rng)
    curve = _Curve(truth)
    curve.spent += truth.shape[1]
    while curve.spent.min() < EPISODES[-1]:
        before = gate.truth.mean(-1)
        proposal, race = _proposal(rng, mix, gate.truth, racing)
        step = gate.step(proposal)
        spent = step.candidate_episodes + step.incumbent_episodes + race
        curve.add(spent, before, gate.truth.mean(-1), step.accepted)
    return curve.row(mix, STEP_BY_STEP + RACED * racing)


def sequential(mix: str, truth: Array, seed: int, racing: bool) -> Row:
    """Train with the sequential policy, climbing; what counts is the accepted version."""
    rng = np.random.default_rng(seed)
    climb = Climb(Climbing(alpha=ALPHA), Outcomes("fitted"), truth, rng)
    curve = _Curve(truth)
    while curve.spent.min() < EPISODES[-1]:
        before, spent = climb.base.mean(-1), climb.spent.copy()
        proposal, race = _proposal(rng, mix, climb.head, racing)
        accepted = climb.step(proposal)
        curve.add(climb.spent - spent + race, before, climb.base.mean(-1), accepted)
    return curve.row(mix, "sequential" + RACED * racing)


def fixed_size(mix: str, truth: Array, seed: int, rule: str) -> Row:
    """Train with a rule that scores every task `repeats` times."""
    rng, model = np.random.default_rng(seed), Outcomes("fitted")
    repeats = 3 if "x 3" in rule else 1
    rescored = "re-scored" in rule
    truth, curve = truth.copy(), _Curve(truth)
    stored = np.hstack([model.scores(rng, truth) for _ in range(repeats)])
    curve.spent += stored.shape[1]
    while curve.spent.min() < EPISODES[-1]:
        proposal, race = _proposal(rng, mix, truth, RACED in rule)
        after = np.hstack([model.scores(rng, proposal) for _ in range(repeats)])
        before = np.hstack([model.scores(rng, truth) for _ in range(repeats)])
        against = before if rescored else stored
        better = strictly_higher(against, after)
        if "test" in rule:
            better = mcnemar(against, after, ALPHA / 10)
        old = truth.mean(-1)
        truth[better], stored[better] = proposal[better], after[better]
        episodes = np.full(len(truth), after.shape[1] * (2.0 if rescored else 1.0) + race)
        if "test" in rule and not rescored:
            # an honest stored score is run again after an acceptance
            stored[better] = np.hstack([model.scores(rng, truth) for _ in range(repeats)])[better]
            episodes += np.where(better, after.shape[1], 0)
        curve.add(episodes, old, truth.mean(-1), better)
    return curve.row(mix, rule)


def rows(runs: int) -> Iterator[Row]:
    """Train under every rule and mix."""
    stored = "paper, stored"
    rules = (
        stored,
        stored + RACED,
        "paper, re-scored",
        "fixed test, stored",
        "fixed test x 3, stored",
    )
    for mix, (start, _) in MIXES.items():
        for tasks in (40, 150):
            truth = Outcomes("fitted").tasks(np.random.default_rng(tasks), runs, tasks)
            if start is not None:
                truth = shifted(truth, start - truth.mean(-1))
            for rule in rules:
                yield fixed_size(mix, truth, 1, rule)
            for racing in (False, True):
                yield sequential(mix, truth, 1, racing)
                yield step_by_step(mix, truth, 1, racing)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 100):
        print(
            f"{row.tasks} | {row.mix} | {row.rule} |",
            " | ".join(f"{100 * gain:+.1f}" for gain in row.gained),
            f"| {100 * row.area:+.1f} | {100 * row.priced:+.1f}",
            f"| {row.harmful:.2f} of {row.accepted:.2f}",
            flush=True,
        )
