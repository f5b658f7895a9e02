"""Many votes on many trajectories over real HTTP, judged by the provider's own ledger."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from funcforge import Opening, open_evaluation
from funcforge.adapters.config import Config
from funcforge.engine.pacing import BURST_S

from tests.engine.critics.material import NAMES
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say

AGENT, CRITIC = "openai/gpt-4o-mini", "openai/gpt-4o"


@dataclass(frozen=True, kw_only=True)
class Voted:
    """What came of it, stopped once by the shared budget and resumed."""

    trajectories: int
    votes: int
    per_minute: int
    cap: int
    paused_calls: int  # that had arrived when the budget stopped the run
    calls: int  # in the end
    judged: int  # trajectories with a judgement, each of so many votes
    most_in_window: int  # arrivals in any `window_s`
    window_s: float
    seconds: float  # from the first arrival of the second part to the last

    @property
    def allowed_in_window(self) -> float:
        """What the limit lets out within the window, the burst of either part included.

        The provider sees arrivals, which crowd by what a busy machine delays them: 0.1 s.
        """
        return self.per_minute / 60 * (self.window_s + 2 * BURST_S + 0.1)


def brain(ask: Ask) -> Say:
    """Answer as agent, or vote by the seed."""
    if ask.model != CRITIC.partition("/")[2]:
        return Say(content="four")
    mark = (ask.seed or 0) % 11
    marks = dict.fromkeys(NAMES, mark)
    return Say(content=json.dumps({"reason": "so", "dimensions": marks, "score": mark}))


async def vote(
    folder: Path, *, trajectories: int, votes: int, per_minute: int, cap: int, window_s: float
) -> Voted:
    """Judge trajectories under a rate limit and a cap on calls; then without the cap."""
    tasks = folder / "tasks.jsonl"
    lines = (json.dumps({"id": f"t{n}", "prompt": f"What is {n}?"}) for n in range(trajectories))
    tasks.write_text("\n".join(lines), encoding="utf-8")
    async with LoopbackProvider(brain=brain, latency_s=0.02) as provider:

        def config(calls: int | None) -> Config:
            return Config.model_validate(
                {
                    "agent": {"model": AGENT, "answer": "whole", "python": False},
                    "tasks": {"path": str(tasks), "test": "rest"},
                    "training": {"signal": "critic"},
                    "critic": {"model": CRITIC, "votes": votes, "seed": 0},
                    "budget": {"calls": calls},
                    "limits": {"requests_per_minute": per_minute, "in_flight": 256},
                    "models": {
                        name: {"base_url": provider.openai_base_url} for name in (AGENT, CRITIC)
                    },
                    "store": {"path": str(folder / "runs.db")},
                }
            )

        async with open_evaluation(config(cap), opening=Opening(run_id="votes")) as run:
            first = await run.wait()
        await provider.ledger.idle()
        paused_calls = len(provider.ledger)
        assert (first.status, first.stopped_by) == ("paused", "budget"), first.message
        async with open_evaluation(
            config(None), opening=Opening(run_id="votes", resume=True)
        ) as run:
            second = await run.wait()
        await provider.ledger.idle()
        assert second.value is not None, second.message
        critic = second.value.summary.critic
        entries = provider.ledger.entries
    arrived = [entry.at_unix_s for entry in entries]
    return Voted(
        trajectories=trajectories,
        votes=votes,
        per_minute=per_minute,
        cap=cap,
        paused_calls=paused_calls,
        calls=len(arrived),
        judged=critic.tasks if critic else 0,
        most_in_window=busiest(arrived, window_s),
        window_s=window_s,
        seconds=arrived[-1] - arrived[paused_calls],
    )


def busiest(arrived: Sequence[float], window_s: float) -> int:
    """Return the most arrivals within any window of so many seconds."""
    inside: deque[float] = deque()
    most = 0
    for at in sorted(arrived):
        inside.append(at)
        while at - inside[0] >= window_s:
            inside.popleft()
        most = max(most, len(inside))
    return most
