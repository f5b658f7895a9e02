"""What all throughput benchmarks run: evaluations over HTTP, here, in processes, on Ray."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from funcforge.adapters.executors.bench import Bench, Desk, Setup
from funcforge.adapters.executors.crew import Workplace, open_crew
from funcforge.adapters.executors.processes import Processes
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.settings import ModelSettings
from funcforge.adapters.sandboxes.opening import open_sandbox
from funcforge.adapters.sandboxes.settings import SandboxSettings
from funcforge.engine.agent import Workspace
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.episode import Episode, Score
from funcforge.engine.evaluation import Evaluation
from funcforge.engine.functions import Function
from funcforge.engine.limiter import RateLimits
from funcforge.engine.messages import Message
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import AgentLimits, Answer, Store
from funcforge.engine.run import Parts, Run
from funcforge.engine.tasks import Task
from funcforge.engine.training import Scoring
from funcforge.engine.workspace import AgentSettings

from tests.doubles import TableSandbox

MODEL = "openai/gpt-4o-mini"
PROMPT = "A train leaves with 40 people and 12 get off at the next stop. " * 32  # 2 KB
SYSTEM = "Solve the problem. Put the answer in \\boxed{}."
COMPUTE = Function(
    name="compute",
    description="Multiplies two numbers.",
    arguments={
        "type": "object",
        "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
        "required": ["x", "y"],
    },
    code="def compute(x, y):\n    return x * y\n",
)


@dataclass(frozen=True)
class Questions:
    """A task set of any length that holds no task."""

    count: int
    hash: str = "questions"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Task]:
        for number in range(self.count):
            yield Task(id=f"{number:09d}", prompt=f"Question {number}. {PROMPT}", target="42")


async def one_call(task: Task, workspace: Workspace) -> Answer:
    """The smallest agent: asks once."""
    messages = [
        Message(role="system", content=SYSTEM),
        Message(role="user", content=task.prompt),
    ]
    reply = await workspace.complete(messages)
    return Answer(text=reply.message.content)


async def always_right(task: Task, episode: Episode) -> Score:
    """Costs nothing."""
    return Score(value=1.0)


@asynccontextmanager
async def open_bench(given: Mapping[str, Any], desk: Desk) -> AsyncGenerator[Bench]:
    """Open what episodes run with: here, or in a worker."""
    os.environ.setdefault("OPENAI_API_KEY", "key-of-the-benchmark")
    settings = ModelSettings(
        base_url=given["base_url"], prompt_usd_per_million=0.15, completion_usd_per_million=0.6
    )
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(LiteLLMModel({MODEL: settings}, fast=given["fast"]))
        await model.load()
        tools = given["tools"]
        sandbox: Any = TableSandbox({"compute": lambda x, y: x * y})
        if tools and not given["table"]:
            sandbox = await stack.enter_async_context(
                open_sandbox(SandboxSettings(packages=(), parallel=given.get("parallel")))
            )
        yield Bench(
            agent=ToolCallingAgent(DialogueSettings()) if tools else one_call,
            settings=AgentSettings(model=MODEL, temperature=0.0, python=False),
            limits=AgentLimits(reply_tokens=256, repetitions=9),
            scorer=always_right,
            sandbox=sandbox,
            model=model,
            timeout_s=1800.0,
        )


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to run episodes."""

    name: str
    fast: bool = True
    executor: str = "local"  # local, processes, ray
    workers: int = 1
    tools: bool = False
    table: bool = False  # the functions' results stand in a table: no sandbox


@asynccontextmanager
async def open_parts(
    arm: Arm, store: Store, base_url: str, in_flight: int
) -> AsyncGenerator[Parts]:
    """Open the parts of a run of an arm; its workers are warm when the block begins."""
    given = {"base_url": base_url, "fast": arm.fast, "tools": arm.tools, "table": arm.table}
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(
            open_bench(given, None)  # type: ignore[arg-type]  # nobody judges here
        )
        crew = None
        if arm.executor != "local":
            workplace: Workplace = Processes()
            if arm.executor == "ray":
                from funcforge.adapters.executors.cluster import open_cluster

                workplace = await stack.enter_async_context(open_cluster(None, arm.workers))
            setup = Setup(
                opener="benchmarks.throughput.arms:open_bench", given={**given, "parallel": 1}
            )
            crew = await stack.enter_async_context(open_crew(workplace, setup, arm.workers))
            await crew.complete()
        yield Parts(
            model=bench.model,
            store=store,
            sandbox=bench.sandbox,
            scorer=bench.scorer,
            agent=bench.agent,
            agent_settings=bench.settings,
            agent_limits=bench.limits,
            in_flight=in_flight,
            rate_limits=RateLimits(in_flight=in_flight),
            executor=crew.executor if crew else None,
        )


def make_run(
    parts: Parts, episodes: int, run_id: str, *, tools: bool, **more: Any
) -> Run[Evaluation]:
    """An evaluation of so many episodes."""
    parameters = Parameters(functions=(COMPUTE,) if tools else ())
    return Run(
        RunRecord(id=run_id, kind="evaluate", name="throughput", config={}, seed=0),
        parts,
        Scoring(tasks=Questions(episodes), parameters=parameters).work(),
        **more,
    )
