"""Which policy a config gets where it says little, and what it may not say."""

from __future__ import annotations

from typing import Any

import pytest
from funcforge.adapters.config import Config
from funcforge.adapters.parts import make_acceptance
from funcforge.engine.acceptances.climbing import Climbing
from funcforge.engine.acceptances.sequential import Sequential
from funcforge.engine.errors import ConfigError


def config(**training: Any) -> Config:
    return Config.model_validate(
        {
            "agent": {"model": "test/agent"},
            "optimizer": {"model": "test/optimizer"},
            "tasks": {"path": "tasks.jsonl", "train": 40, "validation": 20},
            "training": training,
        }
    )


def test_a_run_climbs_unless_it_says_otherwise() -> None:
    assert make_acceptance(config(alpha=0.05)) == Climbing(alpha=0.05)
    assert make_acceptance(config(acceptance_options={"climb": False})) == Sequential()


def test_tasks_that_differ_from_step_to_step_are_tested_step_by_step() -> None:
    assert make_acceptance(config(batch_size=10)) == Sequential(sampled=True)
    assert make_acceptance(config(batch_size=10, accept_on="validation")) == Climbing()

    with pytest.raises(ConfigError, match=r"acceptance_options\.climb.*same tasks"):
        make_acceptance(config(batch_size=10, acceptance_options={"climb": True}))
