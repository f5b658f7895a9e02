"""The tools that a function optimizer's model is offered, and its instructions: packaged files."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from ..messages import Tool


@cache
def action_tools() -> tuple[Tool, ...]:
    """Return add_function, revise_function, remove_function and terminate."""
    return tuple(
        Tool(name=tool["name"], description=tool["description"], arguments=tool["arguments"])
        for tool in json.loads(_read("actions.json"))
    )


@cache
def instructions() -> str:
    """Return the instructions that come with the package."""
    return _read("functions.txt").strip()


def _read(name: str) -> str:
    return (resources.files(__package__) / "prompts" / name).read_text(encoding="utf-8")
