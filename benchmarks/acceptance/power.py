"""Power: what finding a true gain costs, beside the fixed test of the same power and level."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from funcforge.engine.acceptances.sequential import Sequential

from benchmarks.acceptance.gate import Gate
from benchmarks.acceptance.outcomes import Array, Outcomes, changed, shifted, solved
from benchmarks.acceptance.rules import paired_test

STEPS, ALPHA = 10, 0.1
NULLS_BEFORE = (0, 4)  # proposals without effect before the good one; as many after it as make ten


@dataclass
class Row:
    """One gain in one setting."""

    model: Outcomes
    tasks: int
    gain: float
    spread: str
    nulls_before: int
    power: float
    candidate: float  # episodes of the step with the good proposal
    incumbent: float  # fresh ones in that step
    null: float  # candidate episodes of a step without effect
    longest: int
    fixed: float  # pairs that the fixed test needs for the same power
    bound: float  # no test of this power and level with a known incumbent takes fewer
    whole: float  # episodes of the whole run of ten steps, both sides

    @property
    def saved_stored(self) -> float:
        """Share of candidate episodes saved where the fixed test has a stored incumbent."""
        return 1 - self.candidate / self.fixed

    @property
    def saved_anew(self) -> float:
        """Share of all episodes saved where the fixed test runs both sides."""
        return 1 - self.candidate / (2 * self.fixed)

    @property
    def run_stored(self) -> float:
        """Share of the run's episodes saved; the fixed test stores a version's scores once."""
        return 1 - self.whole / (self.fixed * (STEPS + 1 + self.power))

    @property
    def run_anew(self) -> float:
        """Share of the run's episodes saved where the fixed test runs both sides in every step."""
        return 1 - self.whole / (2 * STEPS * self.fixed)


def better(model: Outcomes, truth: Array, gain: float, spread: str) -> Array:
    """Return true task means that are better by `gain` on average."""
    if spread == "shift":
        return shifted(truth, gain)
    return (changed if spread == "observed" else solved)(np.random.default_rng(5), truth, gain)


def fixed_pairs(model: Outcomes, truth: Array, candidate: Array, power: float) -> float:
    """Return the pairs that the fixed test at alpha / steps needs for `power`, interpolated."""
    tasks, level = truth.shape[1], ALPHA / STEPS
    rng = np.random.default_rng(3)
    before, after = np.empty((len(truth), 0)), np.empty((len(truth), 0))
    total_before, total_after = np.zeros_like(truth), np.zeros_like(truth)
    last = (0.0, 0.0)
    for repeats in range(1, 100):
        new = model.scores(rng, truth), model.scores(rng, candidate)
        if model.graded:
            total_before, total_after = total_before + new[0], total_after + new[1]
            before, after = total_before / repeats, total_after / repeats
        else:
            before, after = np.hstack([before, new[0]]), np.hstack([after, new[1]])
        here = (repeats * tasks, float(paired_test(model, before, after, level).mean()))
        if here[1] >= power:
            share = (power - last[1]) / max(here[1] - last[1], 1e-9)
            return last[0] + share * (here[0] - last[0])
        last = here
    return float("nan")


def information_bound(truth: Array, candidate: Array, power: float) -> float:
    """Return Wald's lower bound on the expected episodes of a 0/1 candidate.

    Any test of level a and power b against the closest null q takes at least
    kl(b, a) / mean kl(p_t, q_t) episodes on average, for q with the incumbent's mean. The closest
    null solves p - q = L q (1 - q).

    Source: Wald (1947), "Sequential Analysis", appendix A.7.
    """
    level = ALPHA / STEPS
    low, high = np.zeros((len(truth), 1)), np.full((len(truth), 1), 50.0)
    p = np.clip(candidate, 1e-9, 1 - 1e-9)
    for _ in range(60):
        bet = (low + high) / 2
        null = (1 + bet - np.sqrt((1 + bet) ** 2 - 4 * bet * p)) / (2 * bet)
        above = null.mean(-1, keepdims=True) > truth.mean(-1, keepdims=True)
        low, high = np.where(above, bet, low), np.where(above, high, bet)
    null = np.clip(null, 1e-12, 1 - 1e-12)
    information = (p * np.log(p / null) + (1 - p) * np.log((1 - p) / (1 - null))).mean(-1)
    decision = power * np.log(power / level) + (1 - power) * np.log((1 - power) / (1 - level))
    return float((decision / information).mean())


def play(model: Outcomes, tasks: int, gain: float, spread: str, runs: int, before: int) -> Row:
    """Play `before` proposals without effect, one that is better by `gain`, and the rest of ten."""
    truth = model.tasks(np.random.default_rng(tasks), runs, tasks)
    candidate = better(model, truth, gain, spread)
    policy = Sequential(alpha=ALPHA, steps=STEPS, gain=gain)
    gate = Gate(policy, model, truth, np.random.default_rng(13))
    nulls = [gate.step(truth) for _ in range(before)]
    step = gate.step(candidate)
    nulls += [gate.step(gate.truth) for _ in range(STEPS - 1 - before)]
    whole = sum(float((s.candidate_episodes + s.incumbent_episodes).mean()) for s in (*nulls, step))
    power = float(step.accepted.mean())
    return Row(
        model=model, tasks=tasks, gain=gain, spread=spread, nulls_before=before,
        power=power,
        candidate=float(step.candidate_episodes.mean()),
        incumbent=float(step.incumbent_episodes.mean()),
        null=float(np.mean([one.candidate_episodes.mean() for one in nulls])),
        longest=policy.longest,
        fixed=fixed_pairs(model, truth, candidate, power),
        bound=float("nan") if model.graded else information_bound(truth, candidate, power),
        whole=whole + tasks,
    )  # fmt: skip


def rows(runs: int) -> Iterator[Row]:
    """Play all settings."""
    graded = Outcomes("fitted", graded=True)
    for name in ("fitted", "bootstrap"):
        for spread in ("observed", "shift", "solved"):
            for tasks in (20, 80, 200):
                for before in NULLS_BEFORE if spread == "observed" else NULLS_BEFORE[1:]:
                    yield play(Outcomes(name), tasks, 0.1, spread, runs, before)
    for spread in ("observed", "solved"):
        yield play(graded, 80, 0.1, spread, runs, 4)
    for tasks in (20, 80, 200):
        yield play(Outcomes("fitted"), tasks, 0.05, "observed", runs // 3, 4)
    yield play(Outcomes("bootstrap"), 80, 0.05, "observed", runs // 3, 4)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 600):
        print(
            f"{row.model.name} | {'graded' if row.model.graded else 'binary'} | {row.tasks}"
            f" | {100 * row.gain:+.0f} {row.spread} | {row.nulls_before} | {row.power:.2f}"
            f" | {row.candidate:.0f} | {row.incumbent:.0f} | {row.fixed:.0f} | {row.bound:.0f}"
            f" | {100 * row.saved_stored:.0f} % | {100 * row.saved_anew:.0f} %"
            f" | {row.whole:.0f} | {100 * row.run_stored:.0f} % | {100 * row.run_anew:.0f} %"
            f" | {row.null:.0f} of {row.longest}",
            flush=True,
        )
