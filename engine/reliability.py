"""How far a critic can be trusted: by itself, and against gold where there is some."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from .statistics import paired_p_value

YES = 0.5  # a score from here on says yes, of a critic and of gold alike
DOUBTED = 10  # judgements of a critic from which on their sameness is no accident
TELLING = 0.05  # a critic whose scores all lie within this tells nothing apart
_BINS = 10
_SURE = 0.01  # p-value below which a critic counts as turned round
_MOVED = 0.05  # p-value below which a judge's score counts as moved

Judged = tuple[float, float | None, float]
"""(critic's score, gold score if there is one, agreement of the critic's votes)."""
Both = Mapping[str, tuple[float, float]]
"""Task id -> (critic's score, gold score), each the mean over repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Episodes that a critic gave about the same score."""

    low: float  # of the critic's score
    high: float
    episodes: int
    critic: float  # mean
    gold: float  # mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """What a critic's judgements are worth."""

    episodes: int  # judged
    mean: float
    spread: float  # standard deviation of its scores
    yes_share: float  # judged 0.5 or better
    self_agreement: float  # mean over episodes of the agreement of its votes
    compared: int = 0  # episodes that have a gold score too; the rest stands on them
    gold_yes_share: float | None = None
    agreement: float | None = None  # share of equal yes and no
    kappa: float | None = None  # Cohen's; None: not defined, as both always say the same
    auc: float | None = None  # chance that gold's yes scores above gold's no; None: only one kind
    brier: float | None = None  # mean squared distance to gold
    calibration_error: float | None = None  # mean distance of a bin's two means, by its size
    bins: tuple[Bin, ...] = ()
    problem: str = ""  # why its judgements hold no information; empty: none found


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """How a critic and gold moved from the first version to the last, task by task."""

    tasks: int
    critic_before: float
    critic_after: float
    rise_p_value: float  # one-sided: that the critic did not rise
    gold_before: float
    gold_after: float
    fall_p_value: float  # one-sided: that gold did not fall

    @property
    def problem(self) -> str:
        """Say that the critic is gamed: it surely rose while gold surely fell. Empty: it is not."""
        if max(self.rise_p_value, self.fall_p_value) >= _MOVED:
            return ""
        return (
            f"the critic is being gamed: on {self.tasks} tasks its score rose from "
            f"{self.critic_before:.1%} to {self.critic_after:.1%} (p = {self.rise_p_value:.2g}) "
            f"while gold fell from {self.gold_before:.1%} to {self.gold_after:.1%} "
            f"(p = {self.fall_p_value:.2g})"
        )


def reliability(judged: Iterable[Judged]) -> Reliability | None:
    """Return how far a critic can be trusted; None where it judged nothing.

    Repeats and steps count as episodes of their own: the figures describe a run and carry no
    interval. Source: Cohen (1960) for kappa; Brier (1950); Naeini et al. (2015) for the
    expected calibration error.
    """
    found = sorted(judged, key=lambda one: (one[0], one[1] is not None, one[1] or 0.0, one[2]))
    if not found:
        return None
    scores = [score for score, _, _ in found]
    both = [(score, gold) for score, gold, _ in found if gold is not None]
    yes_share = fmean(score >= YES for score in scores)
    alone = Reliability(
        episodes=len(found),
        mean=fmean(scores),
        spread=pstdev(scores),
        yes_share=yes_share,
        self_agreement=fmean(agreement for _, _, agreement in found),
        problem=_sameness(scores),
    )
    if not both:
        return alone
    return _compared(alone, both)


def _compared(alone: Reliability, both: Sequence[tuple[float, float]]) -> Reliability:
    says = [score >= YES for score, _ in both]
    is_so = [gold >= YES for _, gold in both]
    right = [score for score, gold in both if gold >= YES]
    wrong = [score for score, gold in both if gold < YES]
    bins = tuple(_bins(both))
    auc, turned_round = _auc(right, wrong)
    return Reliability(
        episodes=alone.episodes,
        mean=alone.mean,
        spread=alone.spread,
        yes_share=alone.yes_share,
        self_agreement=alone.self_agreement,
        compared=len(both),
        gold_yes_share=fmean(is_so),
        agreement=fmean(one == other for one, other in zip(says, is_so, strict=True)),
        kappa=cohens_kappa(says, is_so),
        auc=auc,
        brier=fmean((score - gold) ** 2 for score, gold in both),
        calibration_error=sum(one.episodes * abs(one.critic - one.gold) for one in bins)
        / len(both),
        bins=bins,
        problem=alone.problem or _against_gold(says, wrong, auc, turned_round),
    )


def cohens_kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Return Cohen's kappa of two judges' yes and no: agreement beyond chance.

    Returns:
        In [-1, 1]; None where chance alone explains all, as both always say the same.
    """
    observed = fmean(a == b for a, b in zip(one, other, strict=True))
    yes, also = fmean(one), fmean(other)
    expected = yes * also + (1 - yes) * (1 - also)
    return None if expected >= 1.0 else (observed - expected) / (1 - expected)


def divergence(before: Both, after: Both) -> Divergence | None:
    """Return how both judges moved on the tasks that have a score of each, before and after.

    Each side is tested by itself: that the critic rose, that gold fell. Source: see
    `statistics.paired_p_value`.

    Returns:
        None where fewer than two tasks can be compared.
    """
    tasks = sorted(before.keys() & after.keys())
    if len(tasks) < 2:
        return None
    critic = [after[task][0] - before[task][0] for task in tasks]
    gold = [after[task][1] - before[task][1] for task in tasks]
    return Divergence(
        tasks=len(tasks),
        critic_before=fmean(before[task][0] for task in tasks),
        critic_after=fmean(after[task][0] for task in tasks),
        rise_p_value=paired_p_value(critic, seed=0),
        gold_before=fmean(before[task][1] for task in tasks),
        gold_after=fmean(after[task][1] for task in tasks),
        fall_p_value=paired_p_value([-difference for difference in gold], seed=0),
    )


def _sameness(scores: Sequence[float]) -> str:
    if len(scores) < DOUBTED or max(scores) - min(scores) >= TELLING:
        return ""
    return (
        f"no information: the critic gave all {len(scores)} trajectories about the same score "
        f"({min(scores):.2f} to {max(scores):.2f})"
    )


def _against_gold(
    says: Sequence[bool], wrong: Sequence[float], auc: float | None, turned_round: bool
) -> str:
    if len(says) >= DOUBTED and all(says) and wrong:
        return (
            f"no information: the critic said yes to all {len(says)} trajectories, "
            f"{len(wrong)} of which gold calls wrong"
        )
    if turned_round:
        return (
            "worse than none: the critic prefers wrong trajectories; a right one scores above a "
            f"wrong one with a chance of {auc:.0%} only"
        )
    return ""


def _auc(right: Sequence[float], wrong: Sequence[float]) -> tuple[float | None, bool]:
    """Return the area under the ROC curve, and whether it is surely below a half."""
    if not right or not wrong:
        return None, False
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(right, wrong, alternative="less")
    auc = float(test.statistic) / (len(right) * len(wrong))
    p_value = float(test.pvalue)  # NaN where all scores are equal
    return auc, auc < 0.5 and not math.isnan(p_value) and p_value < _SURE


def _bins(both: Sequence[tuple[float, float]]) -> Iterable[Bin]:
    for number in range(_BINS):
        inside = [pair for pair in both if min(int(pair[0] * _BINS), _BINS - 1) == number]
        if inside:
            yield Bin(
                low=number / _BINS,
                high=(number + 1) / _BINS,
                episodes=len(inside),
                critic=fmean(score for score, _ in inside),
                gold=fmean(gold for _, gold in inside),
            )
