"""The optimizer on the real sandbox: what loads counts, what does not is explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funcforge.adapters.sandboxes.opening import open_sandbox
from funcforge.adapters.sandboxes.settings import SandboxSettings
from funcforge.engine.episode import FunctionCall
from funcforge.engine.errors import InvalidEdit
from funcforge.engine.functions import Function
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.ports import CallResult, Sandbox

from tests.engine.optimizers.desk import (
    TERMINATE,
    Desk,
    Line,
    add,
    calls,
    episode,
    function,
    revise,
    situation,
    source,
)


class SandboxedDesk(Desk):
    """A desk whose code runs where a model's code does."""

    def __init__(self, sandbox: Sandbox, *script: Line) -> None:
        super().__init__(*script)
        self._sandbox = sandbox

    async def check(self, function: Function) -> None:
        result = await self._sandbox.check(function)
        if result.outcome != "value":
            raise InvalidEdit(f"The code does not load: {result.error}")

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        return await self._sandbox.call(function, arguments)


async def test_code_is_loaded_called_and_compared_before_it_counts() -> None:
    known = function("known")
    told = FunctionCall(
        name="known", arguments='{"x": 3}', outcome="value", result="4", function_hash=known.hash
    )
    at = situation(episode("t1", 1.0, called=[told]), functions=[known])
    script = [
        calls(add("raises", "raise RuntimeError('at import')\n" + source("raises"))),
        calls(add("undefined", source("undefined", "return helper(x)"))),
        calls(revise("known", source("known", "return x * 2"))),
        calls(revise("known", source("known", "return 1 + x")), add("good")),
        calls(TERMINATE),
    ]

    async with open_sandbox(SandboxSettings(packages=())) as sandbox:
        desk = SandboxedDesk(sandbox, *script)
        settings = FunctionOptimizerSettings(model="test/optimizer", tries=5)
        proposal = await FunctionOptimizer(settings).propose({}, at, desk)

    assert "RuntimeError: at import" in desk.refusals[0]
    assert "NameError: name 'helper' is not defined" in desk.refusals[1]
    assert 'known({"x": 3}) returned 4, now 6' in desk.refusals[2]
    assert [edit.function.name for edit in proposal.edits] == ["known", "good"]  # type: ignore[union-attr]
