"""Ours: an evaluation run with its recorder on, through one lane or the other.

The same parts as a run from the command line: tool-calling agent, scorer, budget, limiter,
journal of calls and SQLite. Variant "fast" or "fall-back".
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from funcforge.adapters.loop import run_loop
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.settings import ModelSettings
from funcforge.adapters.scorers.make import make_scorer
from funcforge.adapters.scorers.settings import ScorerSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.limiter import RateLimits
from funcforge.engine.run import Parts, Run
from funcforge.engine.tasks import Task
from funcforge.engine.training import Scoring
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.database import open_store
from stopwatch import MODEL, options, question, report

from tests.doubles import TableSandbox


@dataclass(frozen=True)
class Questions:
    """A task set of so many questions."""

    count: int
    first: int = 0
    hash: str = "questions"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Task]:
        for number in range(self.first, self.first + self.count):
            yield Task(id=f"task-{number:07d}", prompt=question(number), target="42")


async def main() -> None:
    """Measure."""
    given = options()
    settings = ModelSettings(base_url=given.url)

    def fail(reason: str) -> None:
        raise RuntimeError(reason)

    async with LiteLLMModel(default=settings, fast=given.variant == "fast", notice=fail) as model:

        async def run(tasks: Questions) -> None:
            with tempfile.TemporaryDirectory() as folder:
                async with open_store(Path(folder, "runs.db")) as store:
                    parts = Parts(
                        model=model,
                        store=store,
                        sandbox=TableSandbox(),  # no function is called
                        scorer=make_scorer(ScorerSettings(kind="exact")),
                        agent=ToolCallingAgent(),
                        agent_settings=AgentSettings(model=f"openai/{MODEL}", python=False),
                        in_flight=given.in_flight,
                        rate_limits=RateLimits(in_flight=given.in_flight),
                    )
                    record = RunRecord(
                        id=f"peers-{tasks.first}", kind="evaluate", name="peers", config={}, seed=0
                    )
                    async with Run(record, parts, Scoring(tasks=tasks).work()) as running:
                        outcome = await running.wait()
                    assert outcome.value is not None, outcome
                    assert outcome.value.summary.score == 1.0, outcome.value.summary

        await run(Questions(min(64, given.in_flight), first=10_000_000))
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        await run(Questions(given.episodes))
        report(given.episodes, time.perf_counter() - wall_s, time.process_time() - cpu_s)


if __name__ == "__main__":
    run_loop(main)
