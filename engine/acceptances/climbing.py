"""Climbs on promising versions and accepts the whole climb once it is beyond doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..acceptance import Evidence, Verdict, Wave
from ..errors import ConfigError
from ..statistics import check_tasks
from .ascent import Ascent
from .spending import check_budget

LEAST = 0.07


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbing:
    """Build on what is more likely better than not; accept it when the whole gain is proven.

    A proposal is run `screen` times and compared with what is known of the version that it builds
    on. Its gain is shrunk to what proposals of this run gain, and by how unsure all of that is: a
    lead of luck is taken for luck. Where a gain is left the version is *promising*: the next
    proposals build on it. Nothing is accepted by that.

    Once a promising version is believed to be `gain` above the version in use, it is put to the
    proof on fresh episodes: a gambler bets against "not better than the version in use". When the
    wealth has multiplied by 1 / alpha the version is accepted, with all promising steps that led
    to it. As evidence grows with the square of a gain, three steps of 5 points are proven together
    by a ninth of the episodes that one of them alone would take. A promising version that is left
    when patience or steps end is put to the proof then.

    The guarantee: until the first false acceptance in the use of one version, the chance that a
    version that is not better than it is accepted is at most alpha, whatever was proposed, however
    promising steps were chosen, for every wave size and way of stopping. It holds although other
    proposals are better: a bet that was won never pays for another version. After an acceptance it
    holds anew, at the share of alpha that lost bets left, as it does where failures leave tasks
    out. The screening needs no guarantee and spends no alpha: its outcomes only say what is bet on,
    and are not bet on.

    What `sequential` does unless the tasks differ from step to step. It needs what `Sequential`
    needs, which finds one gain of a known size for sure; this gets far with many proposals.

    Source: see `betting` for the test and `belief` for the screening. Selecting on some episodes
    and testing on fresh ones: Cox (1975), "A note on data-splitting". Shares of the wealth: Ramdas,
    Grünwald, Vovk & Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference";
    that won bets are capped, which keeps the product over the true nulls an upper bound, is ours.
    """

    alpha: float = 0.1  # the chance to accept anything that is not better
    gain: float = 0.14  # over the version in use, by which a version is put to the proof
    screen: int = 16  # episodes of a proposal before it is built on or rolled back
    episodes: int = 0  # most fresh episodes of a proof; 0: enough for `gain`, 5 / gain ** 2
    ratio: float = 1.5  # episodes of the version in use per fresh episode
    stake: float = 0.4  # share of the wealth that is bet on one version
    wave: int = 16  # most episodes at once
    drift: float = 0.0  # how far the provider's mean may move by itself

    def __post_init__(self) -> None:
        check_budget(self.alpha, 1)
        for key, value, low, high in (
            ("gain", self.gain, 0.005, 1.0),
            ("screen", self.screen, 4, 1_000_000),
            ("ratio", self.ratio, 0.5, 100.0),
            ("stake", self.stake, 0.01, 0.9),
            ("wave", self.wave, 1, 1_000_000),
            ("drift", self.drift, 0.0, 0.5),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{value!r} is not in [{low}, {high}]", key=f"acceptance.{key}")
        # a bet at most doubles the wealth
        fewest = math.ceil(math.log2(1 / (self.stake * self.alpha))) + 1
        if self.longest < fewest:
            raise ConfigError(
                f"{self.longest} episodes can never prove anything at alpha = {self.alpha}: at"
                f" least {fewest} are needed",
                key="acceptance.episodes",
            )

    @property
    def longest(self) -> int:
        """The most fresh episodes that a proof takes."""
        return self.episodes or max(12, math.ceil(5 / self.gain**2))

    @property
    def least(self) -> float:
        """The gain, shrunk, that is built on: less is not worth learning anew from."""
        return LEAST * self.gain

    @property
    def spread(self) -> float:
        """The standard deviation of the gains of proposals, as long as there were none."""
        return 0.4 * self.gain

    def rounds(self, fresh: int, tasks: int) -> int:
        """Return the rounds of the version in use that are looked at before fresh draw `fresh`."""
        return max(1, math.ceil(self.ratio * fresh / tasks))

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
