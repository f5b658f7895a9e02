"""Tasks for the apprentice, out of the families of the examples."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from funcforge.engine.tasks import Task

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"


@cache
def families() -> ModuleType:
    spec = importlib.util.spec_from_file_location("families", EXAMPLES / "families.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["families"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def problems(name: str, count: int, seed: int = 1) -> list[Task]:
    """Return tasks of one family."""
    family = next(family for family in families().FAMILIES if family.name == name)
    return [
        Task(id=row["id"], prompt=row["prompt"], target=row["target"])
        for row in families().make_tasks(seed, count, [family])
    ]


LEARNABLE = (
    "rate", "pay", "discount", "shared bill", "compound growth", "greatest common divisor",
    "least common multiple", "dates", "table look-up", "unit conversion", "temperature",
    "average", "geometry", "mixture", "schedule", "whole units",
)  # fmt: skip
