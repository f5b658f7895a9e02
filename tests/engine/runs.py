"""Builds runs of the engine from doubles, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from funcforge.engine.acceptance import Acceptance
from funcforge.engine.acceptances import policy
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.optimizer import Optimizer
from funcforge.engine.parameters import Edit
from funcforge.engine.run import Parts, Run
from funcforge.engine.tasks import Splits
from funcforge.engine.trainer import Trained
from funcforge.engine.training import Training
from funcforge.engine.training_settings import TrainingSettings
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.memory import MemoryStore

from tests.doubles import ProgrammedModel, ScriptedOptimizer, TableSandbox, exact, skilled_agent


def parts(store: Any = None, **changes: Any) -> Parts:
    """The usual doubles, with changes."""
    usual = Parts(
        model=ProgrammedModel(),
        store=store or MemoryStore(),
        sandbox=TableSandbox(),
        scorer=exact,
        agent=skilled_agent,
        agent_settings=AgentSettings(model="test/agent", python=False),
    )
    return replace(usual, **changes)


def training_run(
    splits: Splits,
    script: Sequence[Sequence[Edit]] | Optimizer,
    *,
    parts: Parts,
    run_id: str = "run",
    settings: TrainingSettings | None = None,
    acceptance: Acceptance | None = None,
    sinks: Sequence[Any] = (),
    **run: Any,
) -> Run[Trained]:
    """A training of the doubles."""
    training = Training(
        settings=settings or TrainingSettings(optimizer_model="test/optimizer"),
        splits=splits,
        optimizer=ScriptedOptimizer(script) if isinstance(script, Sequence) else script,
        acceptance=acceptance or policy("paper", {}),
    )
    record = RunRecord(id=run_id, kind="train", name="test", config={}, seed=0)
    return Run(record, parts, training.work(), sinks=sinks, **run)
