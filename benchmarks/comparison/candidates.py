"""Five providers with known true accuracies, speeds, limits, prices and wire formats.

Light to import: each runs in a process of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.loopback.brains import chance
from tests.loopback.wire import Ask, Say

KINDS = {"short": 0.12, "plain": 0.03, "long": -0.15}  # of tasks: how much easier than the mean


@cache
def truth(skill: float, task: int) -> float:
    """Return the chance that a candidate of this skill solves a task: what a run estimates."""
    luck = 0.3 * (chance("task", task) - 0.5)  # some tasks are harder for everybody
    return min(0.98, max(0.02, skill + list(KINDS.values())[task % len(KINDS)] + luck))


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A provider's brain. Each ask of one body is another draw, as at a temperature above 0."""

    name: str
    model: str
    skill: float
    latency_s: float
    prompt_usd: float  # per million tokens
    completion_usd: float
    requests_per_minute: int | None = None
    concurrent: int | None = None
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def wire(self) -> str:
        """Which format it speaks."""
        return self.model.partition("/")[0]

    @property
    def options(self) -> list[str]:
        """Options of its process."""
        found: dict[str, Any] = {
            "--latency": self.latency_s,
            "--requests-per-minute": self.requests_per_minute,
            "--concurrent": self.concurrent,
        }
        return [text for key, value in found.items() if value for text in (key, str(value))]

    def __call__(self, ask: Ask) -> Say:
        task = int(ask.question.rsplit(" ", 1)[-1].rstrip("."))
        draw = self.asked[ask.hash]
        self.asked[ask.hash] += 1
        right = chance(self.name, task, draw) < truth(self.skill, task)
        words = "First I think about it. " * (3 + task % 5)
        return Say(
            content=f"{words}The answer is \\boxed{{{task if right else 'unknown'}}}.",
            prompt_tokens=180 + task % 90,
            completion_tokens=len(words) // 4 + 12,
            cached_tokens=128 if chance("cache", self.name, task, draw) < 0.4 else 0,
        )


swift = Candidate(
    name="swift", model="openai/swift", skill=0.55, latency_s=0.05, prompt_usd=0.15,
    completion_usd=0.6, concurrent=40,
)  # fmt: skip
quick = Candidate(
    name="quick", model="anthropic/quick", skill=0.62, latency_s=0.15, prompt_usd=0.8,
    completion_usd=4.0,
)  # fmt: skip
steady = Candidate(
    name="steady", model="openai/steady", skill=0.70, latency_s=0.3, prompt_usd=2.5,
    completion_usd=10.0, concurrent=50,
)  # fmt: skip
twin = Candidate(
    name="twin", model="openai/twin", skill=0.70, latency_s=0.4, prompt_usd=1.0,
    completion_usd=2.0, requests_per_minute=3_000,
)  # fmt: skip
careful = Candidate(
    name="careful", model="anthropic/careful", skill=0.78, latency_s=0.6, prompt_usd=3.0,
    completion_usd=15.0, requests_per_minute=1_200,
)  # fmt: skip

ALL = (swift, quick, steady, twin, careful)
SLOWEST = careful  # 3,000 calls at 1,200 a minute
