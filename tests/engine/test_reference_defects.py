"""The known defects of AgentOptimizer's reference implementation, and where ours is tested.

| defect of the reference | test |
| --- | --- |
| every registered function runs the last one | here |
| removed and rolled-back functions stay callable | here; test_trainer.py |
| arguments called `name`, `packages` or `code` collide | here; optimizers/test_functions.py |
| TERMINATE does not end the step | optimizers/test_functions.py |
| several calls in one reply all apply | optimizers/test_functions.py |
| an invalid action is retried without a reason | optimizers/test_functions.py |
| ties count as better; no early stop | test_trainer.py |
| the last proposal is returned unevaluated | test_trainer.py |
| histories without a budget | optimizers/test_prompt.py |
| no name, definition or schema check; nothing executed first | test_function_checks.py |
| `pip install` of model-chosen packages at each call | here |
| a hard-coded container image; `input()` in the library | here |
| ZeroDivisionError on no record | here |
| sequential | here |
"""

from __future__ import annotations

import ast
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
from funcforge.adapters.sandboxes.opening import open_sandbox
from funcforge.adapters.sandboxes.settings import SandboxSettings
from funcforge.engine.functions import Function
from funcforge.engine.messages import Request
from funcforge.engine.optimizer import Batch, Situation
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.parameters import (
    AddFunction,
    Parameters,
    RemoveFunction,
    ReviseFunction,
    apply,
)
from funcforge.engine.ports import AgentLimits
from funcforge.engine.tasks import Splits, Task
from funcforge.engine.workspace import AgentSettings, EpisodeWorkspace

from tests.doubles import ProgrammedModel, tasks
from tests.engine.runs import parts, training_run

ROOT = Path(__file__).parent.parent.parent


def opened() -> AbstractAsyncContextManager[Any]:
    return open_sandbox(SandboxSettings(packages=()))


def function(name: str, code: str, *arguments: str, packages: tuple[str, ...] = ()) -> Function:
    schema = {
        "type": "object",
        "properties": {argument: {"type": "string"} for argument in arguments},
        "required": list(arguments),
        "additionalProperties": False,
    }
    return Function(name=name, description=name, arguments=schema, code=code, packages=packages)


def workspace(sandbox: Any, *functions: Function) -> EpisodeWorkspace:
    return EpisodeWorkspace(
        Task(id="t", prompt="p"),
        Parameters(functions=functions),
        settings=AgentSettings(model="test/agent"),
        limits=AgentLimits(),
        scope=None,  # type: ignore[arg-type] - no model is asked here
        sandbox=sandbox,
    )


async def test_every_function_runs_itself_and_not_the_last_one() -> None:
    functions = [function(f"f{n}", f"def f{n}():\n    return {n}\n") for n in range(4)]

    async with opened() as sandbox, workspace(sandbox, *functions) as space:
        results = [(await space.call_function(f.name, "{}")).result for f in functions]

    assert results == ["0", "1", "2", "3"]


async def test_a_removed_function_is_neither_offered_nor_callable() -> None:
    before = Parameters(functions=(function("old", "def old():\n    return 1\n"),))
    after = apply([RemoveFunction(name="old")], before)

    async with opened() as sandbox, workspace(sandbox, *after.functions) as space:
        call = await space.call_function("old", "{}")

    assert call.outcome == "refused"
    assert "no tool named 'old'" in call.result
    assert [tool.name for tool in space.tools()] == ["python"]


async def test_a_revised_function_runs_its_new_code() -> None:
    first = Parameters(functions=(function("f", "def f():\n    return 'old'\n"),))
    second = apply([ReviseFunction(function=function("f", "def f():\n    return 'new'\n"))], first)

    async with opened() as sandbox:
        async with workspace(sandbox, *second.functions) as space:
            new = await space.call_function("f", "{}")
        async with workspace(sandbox, *first.functions) as space:  # rolled back
            old = await space.call_function("f", "{}")

    assert (new.result, old.result) == ("new", "old")


async def test_arguments_may_be_called_name_packages_and_code() -> None:
    code = "def join(name, packages, code, self, args):\n    return name+packages+code+self+args\n"
    join = function("join", code, "name", "packages", "code", "self", "args")

    async with opened() as sandbox, workspace(sandbox, join) as space:
        arguments = {"name": "a", "packages": "b", "code": "c", "self": "d", "args": "e"}
        call = await space.call_function("join", json.dumps(arguments))

    assert call.result == "abcde"


async def test_a_package_that_a_model_chose_is_never_installed() -> None:
    wants = function("f", "import requests\ndef f():\n    return 1\n", packages=("requests",))

    async with opened() as sandbox:
        result = await sandbox.call(wants, {})

    assert result.outcome == "refused"
    assert "requests" in result.error


class Bench:
    """A workbench whose model ends the step at once."""

    async def complete(self, request: Request) -> Any:
        return await ProgrammedModel(self._terminate).complete(request)

    async def _terminate(self, request: Request) -> str:
        return "TERMINATE"

    def facts(self) -> Any:
        return ProgrammedModel().describe("test/optimizer")

    async def check(self, function: Function) -> None:
        return

    async def call(self, function: Function, arguments: Any) -> Any:
        raise AssertionError("nothing is called")

    async def publish(self, event: Any) -> None:
        return


async def test_a_function_without_any_record_divides_by_nothing() -> None:
    optimizer = FunctionOptimizer(FunctionOptimizerSettings(model="test/optimizer"))
    unused = function("unused", "def unused():\n    return 1\n")
    batch = Batch(parameters=Parameters(functions=(unused,)), episodes=(), tasks={})

    proposal = await optimizer.propose(optimizer.init(), Situation(step=1, batch=batch), Bench())

    assert proposal.edits == ()


def test_the_library_asks_nobody_at_a_terminal_and_drives_no_container() -> None:
    for folder in ("engine", "storage", "adapters"):
        for file in (ROOT / folder).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
            called = {
                node.func.id
                for node in nodes
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            imported = {
                alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
            }
            assert "input" not in called, file
            assert "docker" not in imported, file


async def test_episodes_run_at_the_same_time() -> None:
    waiting = 0
    peak = 0
    everybody = anyio.Event()

    async def answer(request: Request) -> str:
        nonlocal waiting, peak
        if request.model == "test/agent":
            waiting += 1
            peak = max(peak, waiting)
            if waiting == 12:
                everybody.set()
            await everybody.wait()
            waiting -= 1
        return str(request.messages[-1].content)

    run = training_run(
        Splits(train=tasks(12)),
        [[AddFunction(function=function("useless", "def useless():\n    return 1\n"))]],
        parts=parts(model=ProgrammedModel(answer)),
    )
    with anyio.fail_after(20):
        await run.wait()

    assert peak == 12
