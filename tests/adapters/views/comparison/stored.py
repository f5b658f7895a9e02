"""Stored comparisons made without a provider: any number of episodes, written as a run does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from funcforge.adapters.views.comparison.story import ComparisonStory, read_comparison
from funcforge.engine.arm import evaluation_of
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.episode import Episode, Failure, Job, Score
from funcforge.engine.events import (
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    RunFinished,
)
from funcforge.engine.messages import Message, ToolCall
from funcforge.engine.parameters import Parameters
from funcforge.engine.usage import Usage
from funcforge.storage.database import open_store
from funcforge.storage.runs import RunReader

HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>\x1b[2J'


async def store_comparison(
    path: Path,
    skills: dict[str, float],
    *,
    tasks: int,
    repeats: int = 1,
    seed: int = 0,
    text: str = "Thinking about it.",
    fails: Callable[[str, int], bool] = lambda arm, task: False,
    learned: Sequence[dict[str, Any]] = (),
    kinds: int = 3,
    **compare: Any,
) -> None:
    """Store a finished comparison `run`. An arm's name is `model` or `model + learned`."""
    drawn = random.Random(seed)
    arms = [{"name": name, "model": name} for name in skills if " + " not in name]
    config = {
        "compare": {"arms": [] if learned else arms, "repeats": repeats, "alpha": 0.05,
                    "models": [arm["name"] for arm in arms] if learned else [],
                    "learned": list(learned), **compare},
    }  # fmt: skip
    async with open_store(str(path)) as store:
        await store.begin(
            RunRecord(id="run", kind="compare", name=text[:40], config=config, seed=seed,
                      sandbox="bubblewrap", created_at_unix_s=1.7e9)
        )  # fmt: skip
        for name, skill in skills.items():
            model, _, what = name.partition(" + ")
            parameters = Parameters(model=model, instructions=what)
            evaluation = evaluation_of(name)
            await store.handle(
                EvaluationStarted(
                    run_id="run", evaluation=evaluation, parameters=parameters,
                    episodes=tasks * repeats,
                )
            )  # fmt: skip
            for task in range(tasks):
                for repeat in range(repeats):
                    job = Job(evaluation=evaluation, parameters_version=parameters.version,
                              task_id=f"task-{task:05}", repeat=repeat)  # fmt: skip
                    failed = fails(name, task)
                    right = drawn.random() < skill
                    episode = Episode(
                        id=job.episode_id, run_id="run", job=job, prompt=f"Question {task}? {text}",
                        messages=(
                            Message(role="system", content="Solve it."),
                            Message(role="user", content=f"Question {task}? {text}"),
                            Message(role="assistant", content=text, tool_calls=(
                                ToolCall(id="c", name="look_up", arguments=f'{{"task": {task}}}'),
                            )),
                            Message(role="tool", content=f"found {task}", tool_call_id="c"),
                            Message(role="assistant", content=f"{text} It is {task + right}."),
                        ),
                        answer=str(task + right), end="answered",
                        score=None if failed else Score(value=float(right), comment=text),
                        failure=Failure(kind="timeout", message=text) if failed else None,
                        usage=Usage(calls=2, prompt_tokens=90, completion_tokens=11),
                        elapsed_s=1.5, metadata={"category": f"kind {task % kinds}"},
                    )  # fmt: skip
                    await store.handle(EpisodeFinished(run_id="run", episode=episode))
            await store.handle(
                EvaluationFinished(
                    run_id="run", evaluation=evaluation, parameters_version=parameters.version,
                    score=skill, low=0.0, high=1.0, tasks=tasks, episodes=tasks, failed=0,
                )
            )  # fmt: skip
        await store.handle(RunFinished(run_id="run", status="done", stopped_by="done"))


def read(path: Path) -> ComparisonStory:
    """Read it back as the views do."""
    with RunReader(path) as reader:
        return read_comparison(reader.view("run"), reader.path)
