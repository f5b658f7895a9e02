"""A small training loop for the apprentice: real prompts of the function optimizer, no sandbox.

The code that runs here in the tests' process is what the apprentice wrote from our own tasks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from funcforge.adapters.models.apprentice import reply
from funcforge.engine.episode import Episode, FunctionCall, Job, Score
from funcforge.engine.events import Event
from funcforge.engine.functions import Function
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.optimizer import Batch, FailedAttempt, Situation
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.parameters import Parameters, apply
from funcforge.engine.ports import CallResult, ModelFacts
from funcforge.engine.tasks import Task

MODEL = "embedded/apprentice"
SYSTEM = "Solve the task. When you know the final answer, put it in \\boxed{}."


@dataclass
class Bench:
    """The optimizer's workbench with the apprentice as its model."""

    asked: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return reply(request)

    def facts(self) -> ModelFacts:
        return ModelFacts(context_tokens=1_000_000, max_output_tokens=65_536)

    async def check(self, function: Function) -> None:
        exec(function.code, {})

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        try:
            return CallResult(outcome="value", value=run(function, arguments))
        except Exception as error:
            return CallResult(outcome="exception", error=f"{type(error).__name__}: {error}")

    async def publish(self, event: Event) -> None:
        pass


def run(function: Function, arguments: Mapping[str, Any]) -> Any:
    scope: dict[str, Any] = {}
    exec(function.code, scope)
    return scope[function.name](**arguments)


def solve(task: Task, parameters: Parameters) -> Episode:
    """One episode: the agent role with native tool calls."""
    messages = [
        Message(role="system", content=SYSTEM),
        Message(role="user", content=task.prompt),
    ]
    tools = tuple(function.tool() for function in parameters.functions)
    calls: list[FunctionCall] = []
    for _ in range(4):
        said = reply(Request(model=MODEL, messages=tuple(messages), tools=tools)).message
        messages.append(said)
        for call in said.tool_calls:
            function = parameters.function(call.name)
            assert function is not None
            try:
                result = json.dumps(run(function, json.loads(call.arguments)))
            except Exception as error:
                result = f"{type(error).__name__}: {error}"
            messages.append(Message(role="tool", content=result, tool_call_id=call.id))
            calls.append(
                FunctionCall(
                    name=call.name,
                    arguments=call.arguments,
                    outcome="value",
                    result=result,
                    function_hash=function.hash,
                )
            )
        if not said.tool_calls:
            break
    answer = messages[-1].content.rpartition("{")[2].partition("}")[0]
    job = Job(evaluation="train/0", parameters_version=parameters.version, task_id=task.id)
    return Episode(
        id=job.episode_id,
        run_id="run",
        job=job,
        prompt=task.prompt,
        messages=tuple(messages),
        calls=tuple(calls),
        answer=answer,
        end="answered",
        score=Score(value=float(_equal(answer, task.target))),
    )


def accuracy(tasks: Sequence[Task], parameters: Parameters) -> float:
    solved = sum(solve(task, parameters).solved for task in tasks)
    return solved / len(tasks)


async def step(
    train: Sequence[Task],
    parameters: Parameters = Parameters(),  # noqa: B008  (immutable)
    *,
    shown: Mapping[str, str] | None = None,
    failures: Sequence[FailedAttempt] = (),
    bench: Bench | None = None,
    progressive: bool = True,
) -> Parameters:
    """One step of the function optimizer.

    Args:
        shown: Task id -> right answer as the prompt tells it. None: the tasks' own targets.
    """
    answers = {task.id: task.target for task in train} if shown is None else shown
    episodes = sorted((solve(t, parameters) for t in train), key=lambda e: e.job.task_id)
    blanked = {t.id: Task(id=t.id, prompt=t.prompt, target=answers.get(t.id)) for t in train}
    situation = Situation(
        step=1,
        batch=Batch(parameters=parameters, episodes=tuple(episodes), tasks=blanked),
        failures=tuple(failures),
    )
    optimizer = FunctionOptimizer(FunctionOptimizerSettings(model=MODEL, progressive=progressive))
    proposal = await optimizer.propose(optimizer.init(), situation, bench or Bench())
    return apply(proposal.edits, parameters)


def _equal(answer: str, target: str | None) -> bool:
    try:
        return abs(float(answer) - float(target or "nan")) < 1e-6
    except ValueError:
        return False
