"""Climbs on promising versions and accepts the whole climb once it is beyond doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..acceptance import Evidence, Verdict, Wave
from ..errors import ConfigError
from ..statistics import check_tasks
from .ascent import FEWEST_DRAWS, Ascent
from .spending import check_budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbing:
    """Build on what looks better at once; accept it when the gain over the start is proven.

    A proposal is compared with the version that it builds on until the outcomes speak `promote` to
    one for a true gain of `gain`, or 1 / `give_up` to one against it. One that looks better gets
    fresh episodes and, if it still does after `hold` of them, is *promising*: the next proposals
    build on it. Nothing is accepted by that. On its fresh episodes a gambler bets against
    "not better than the version in use", and once the wealth has multiplied by 1 / alpha the
    version, with all promising steps that led to it, is accepted. As evidence grows with the
    square of a gain, three steps of 7 points are proven together for less than one of them alone.

    The guarantee: until the first false acceptance in the use of one version, the chance that a
    version that is not better than it is accepted is at most alpha, whatever was proposed, however
    promising steps were chosen, for every wave size and way of stopping. It holds although other
    proposals are better: a bet that was won never pays for another version. After an acceptance it
    holds anew, at the share of alpha that lost bets left. The screening needs no guarantee and
    spends no alpha: its outcomes only say what is bet on, and are not bet on.

    It needs what `sequential` needs. Use `sequential` to find one gain of a known size for sure,
    this to get far with many proposals.

    Source: see `betting` for the test. Selecting on some episodes and testing on fresh ones: Cox
    (1975), "A note on data-splitting". The screening: Wald (1945), "Sequential tests of
    statistical hypotheses", on the normal approximation. Shares of the wealth: Ramdas, Grünwald,
    Vovk & Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference"; that
    won bets are capped, which keeps the product over the true nulls an upper bound, is ours.
    """

    alpha: float = 0.1  # the chance to accept anything that is not better
    gain: float = 0.12  # the true gain of one step that the screening is made for
    promote: float = 3.0  # likelihood ratio at which a proposal gets fresh episodes
    give_up: float = 0.5  # likelihood ratio at which it is rolled back
    screen: int = 60  # most episodes of the screening
    hold: int = 120  # episodes that a promising version gets, and the version in use as well
    episodes: int = 250  # most fresh episodes to prove a version on
    ratio: float = 1.5  # episodes of the version in use per fresh episode
    stake: float = 0.25  # share of the wealth that is bet on one version
    wave: int = 16  # most episodes at once
    drift: float = 0.0  # how far the provider's mean may move by itself

    def __post_init__(self) -> None:
        check_budget(self.alpha, 1)
        for key, value, low, high in (
            ("gain", self.gain, 0.005, 1.0),
            ("promote", self.promote, 1.0, 1e6),
            ("give_up", self.give_up, 1e-6, 1.0),
            ("screen", self.screen, FEWEST_DRAWS, 1_000_000),
            ("hold", self.hold, FEWEST_DRAWS, 1_000_000),
            ("ratio", self.ratio, 0.5, 100.0),
            ("stake", self.stake, 0.01, 0.9),
            ("wave", self.wave, 1, 1_000_000),
            ("drift", self.drift, 0.0, 0.5),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{value!r} is not in [{low}, {high}]", key=f"acceptance.{key}")
        # a bet at most doubles the wealth
        fewest = math.ceil(math.log2(1 / (self.stake * self.alpha))) + 1
        if self.episodes < fewest:
            raise ConfigError(
                f"{self.episodes} episodes can never prove anything at alpha = {self.alpha}: at"
                f" least {fewest} are needed",
                key="acceptance.episodes",
            )

    @property
    def aim(self) -> float:
        """The true gain that bets are made for: that of several steps together."""
        return 1.4 * self.gain

    @property
    def changed(self) -> float:
        """The variance of outcomes about the guesses that `gain` brings where it solves tasks."""
        return self.gain * (1 - self.gain)

    def rounds(self, fresh: int, tasks: int) -> int:
        """Return the rounds of the version in use that are looked at before fresh draw `fresh`."""
        return math.ceil(max(self.hold, self.ratio * fresh) / tasks)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        check_tasks(evidence.tasks)
        tasks = evidence.tasks
        while len(tasks) >= 2:
            answer = Ascent(self, evidence, tasks).play()
            if not isinstance(answer, frozenset):
                return answer
            tasks = tuple(task for task in tasks if task not in answer)
        return Verdict(
            outcome="not_enough_evidence",
            reason=f"fewer than 2 of {len(evidence.tasks)} tasks have a score on both sides",
            incumbent_score=0.0,
            candidate_score=0.0,
            low=-1.0,
            high=1.0,
            episodes=sum(len(scores) for scores in evidence.candidate.values()),
        )
