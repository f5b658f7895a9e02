"""What a run can detect: before any episode is paid for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from .acceptances.climbing import Climbing
from .errors import ConfigError

# what anytime-valid bets cost over the best test of the same level with a known incumbent:
# measured 1.3 to 2.2 (benchmarks/results/acceptance.md)
SEQUENTIAL_COST = 1.6
# the same for the proof of a climb, whose incumbent is hardly known; measured 2.5 to 3.3
CLIMB_COST = 2.7
# a climb gives up what looks like less than half of its `gain`: of a true gain of 0.7 times that it
# proves 39 to 47 %, of one as large 88 to 94 % (the same file)
CLIMB_FINDS = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What finding a true gain takes."""

    gain: float
    candidate_episodes: int  # expected for the version that has this gain
    incumbent_episodes: int  # that the version in use should have by then; kept for later steps
    repeats: int  # of every task, on both sides, by a fixed paired test


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the configured run can and cannot find, at power 0.8."""

    # the smallest true gain that a step can find, in a climb all its steps together; above 1: none
    detectable_gain: float
    step_episodes: int  # candidate episodes that a step, or the proof of a climb, may take
    needs: tuple[Need, ...]  # for +5 and +10 points
    decides: bool  # whether any true gain can be found
    message: str  # for people


def plan(
    tasks: int,
    repeats: int,
    budget: int,
    alpha: float = 0.1,
    steps: int = 10,
    agreement: float = 0.84,
    power: float = 0.8,
    climb: Climbing | None = None,
) -> Plan:
    """Say what true gain `budget` episodes can detect, and what +5 and +10 points take.

    Normal approximation with the tasks held fixed: only the variance within tasks counts, and two
    repeats of a task differ with chance 2 p (1 - p), so that it is (1 - agreement) / 2 for 0/1
    scores; graded scores vary less. The budget is shared out evenly over the steps, and a fifth
    of each share is taken to be the incumbent's.

    Source: Wald (1947) and Lehmann & Romano (2005), section 3.3, for (z_alpha + z_power)^2 V / g^2
    with a known incumbent; the surcharge of the sequential test is measured.

    Args:
        tasks: On which proposals are decided.
        repeats: Episodes per task that a fixed test of this config would take.
        budget: Episodes of the whole run, both sides.
        alpha: Chance that the run accepts anything that is not better.
        steps: Planned proposals.
        agreement: Share of tasks on which two repeats of one agent agree; measured 0.82 to 0.84.
        power: Chance to find the gain.
        climb: The policy, where proposals build on promising versions and what they gain together
            is proven; each proposal takes its screening, and one proof gets what is left. None:
            each proposal is tested by itself.

    Raises:
        ConfigError: A number is out of its range.
    """
    _check(tasks, repeats, budget, alpha, steps, agreement, power)
    normal = NormalDist()
    variance = max((1 - agreement) / 2, 0.005)
    fixed = normal.inv_cdf(1 - alpha / steps) + normal.inv_cdf(power)
    # a bet at most doubles the wealth: fewer episodes can never decide
    if climb is None:
        step_episodes = int(0.8 * budget / steps)
        information = SEQUENTIAL_COST * fixed**2 * variance
        fewest = math.ceil(math.log2(steps / (1.2 * alpha))) + 1
    else:
        left = max(0, budget - steps * climb.screen) / (1 + climb.ratio)
        step_episodes = min(int(left), climb.longest)
        quantile = normal.inv_cdf(1 - alpha * climb.stake) + normal.inv_cdf(power)
        information = CLIMB_COST * quantile**2 * variance
        fewest = math.ceil(math.log2(1 / (climb.stake * alpha))) + 1
    detectable = math.sqrt(information / step_episodes) if step_episodes else math.inf
    if climb is not None:
        detectable = max(detectable, CLIMB_FINDS * climb.gain)
    decides = detectable <= 1.0 and step_episodes >= fewest
    ratio = 4.0 if climb is None else climb.ratio
    needs = tuple(_need(gain, tasks, information, ratio, fixed, variance) for gain in (0.05, 0.1))
    return Plan(
        detectable_gain=detectable,
        step_episodes=step_episodes,
        needs=needs,
        decides=decides,
        message=_message(
            detectable, decides, tasks, repeats, budget, fixed, variance, needs, climb
        ),
    )


def _need(
    gain: float, tasks: int, information: float, ratio: float, quantile: float, variance: float
) -> Need:
    candidate = math.ceil(information / gain**2)
    return Need(
        gain=gain,
        candidate_episodes=candidate,
        incumbent_episodes=math.ceil(ratio * candidate),
        repeats=math.ceil(2 * quantile**2 * variance / gain**2 / tasks),
    )


def _message(
    detectable: float,
    decides: bool,
    tasks: int,
    repeats: int,
    budget: int,
    quantile: float,
    variance: float,
    needs: tuple[Need, ...],
    climb: Climbing | None,
) -> str:
    fixed = quantile * math.sqrt(2 * variance / (tasks * repeats))
    who = "proposal" if climb is None else "promising version"
    lines = [
        f"{budget} episodes find a true gain of {100 * detectable:.1f} points or more"
        + ("" if climb is None else ", all promising steps together")
        if decides
        else f"{budget} episodes cannot reach a decision",
        f"a fixed test on {tasks} tasks x {repeats} finds {100 * fixed:.1f} points",
    ]
    lines += [
        f"+{100 * need.gain:g} points take about {need.candidate_episodes} episodes of the {who}"
        f" and up to {need.incumbent_episodes} of the version in use, once;"
        f" by a fixed test {need.repeats} repeats of each task on both sides"
        + (
            f" (acceptance_options.gain = {need.gain:g})"
            if climb and need.gain < climb.gain
            else ""
        )
        for need in needs
    ]
    return "; ".join(lines)


def _check(
    tasks: int,
    repeats: int,
    budget: int,
    alpha: float,
    steps: int,
    agreement: float,
    power: float,
) -> None:
    checks = (
        ("tasks", tasks >= 2, "at least 2"),
        ("repeats", repeats >= 1, "at least 1"),
        ("budget", budget >= 1, "at least 1"),
        ("alpha", 0 < alpha < 1, "in (0, 1)"),
        ("steps", steps >= 1, "at least 1"),
        ("agreement", 0.5 <= agreement <= 1, "in [0.5, 1]"),
        ("power", 0 < power < 1, "in (0, 1)"),
    )
    for key, right, allowed in checks:
        if not right:
            raise ConfigError(f"must be {allowed}", key=f"plan.{key}")
