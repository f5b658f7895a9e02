"""funcforge trains LLM agents without touching model weights: it learns the agent's functions.

As a library:

    from funcforge import load_config, open_training

    async with open_training(load_config("train.toml")) as run:
        async for event in run.run():
            ...
        trained = run.outcome.value

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters.config import Config, load_config
    from .adapters.opening import Opening
    from .adapters.wiring import open_comparison, open_evaluation, open_training
    from .engine.agent import Agent, Workspace
    from .engine.episode import Episode, Score
    from .engine.errors import FuncforgeError
    from .engine.functions import Function
    from .engine.messages import Message
    from .engine.parameters import Parameters
    from .engine.ports import Answer
    from .engine.run import Outcome, Run
    from .engine.tasks import ListTaskSet, Splits, Task
    from .storage.memory import MemoryStore

__version__ = "0.1.0"

_HOMES = {
    "Agent": "engine.agent",
    "Answer": "engine.ports",
    "Config": "adapters.config",
    "Episode": "engine.episode",
    "FuncforgeError": "engine.errors",
    "Function": "engine.functions",
    "ListTaskSet": "engine.tasks",
    "MemoryStore": "storage.memory",
    "Message": "engine.messages",
    "Opening": "adapters.opening",
    "Outcome": "engine.run",
    "Parameters": "engine.parameters",
    "Run": "engine.run",
    "Score": "engine.episode",
    "Splits": "engine.tasks",
    "Task": "engine.tasks",
    "Workspace": "engine.agent",
    "load_config": "adapters.config",
    "open_comparison": "adapters.wiring",
    "open_evaluation": "adapters.wiring",
    "open_training": "adapters.wiring",
}

__all__ = [
    "Agent",
    "Answer",
    "Config",
    "Episode",
    "FuncforgeError",
    "Function",
    "ListTaskSet",
    "MemoryStore",
    "Message",
    "Opening",
    "Outcome",
    "Parameters",
    "Run",
    "Score",
    "Splits",
    "Task",
    "Workspace",
    "load_config",
    "open_comparison",
    "open_evaluation",
    "open_training",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
