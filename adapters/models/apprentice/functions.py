"""A function as the apprentice writes it and as a prompt shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....engine.messages import Tool
from .examples import Example
from .lessons import Lesson
from .program import to_function, to_python
from .tooling import describe, places, schema


@dataclass(slots=True)
class Known:
    """A function in a prompt or for a prompt."""

    name: str
    code: str = ""
    description: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> tuple[str, ...]:
        """What it does with which quantities, whatever it is called and however it is worded."""
        result = self.code.rstrip().rpartition("\n")[2].strip()
        first = (cues[0].phrase() for cues in places(self.tool()).values() if cues)
        return (result, *sorted(first))

    def tool(self) -> Tool:
        """Return it as the agent sees it."""
        return Tool(name=self.name, description=self.description, arguments=self.arguments)

    def to_json(self) -> dict[str, Any]:
        """Return it as the arguments of `add_function` or `revise_function`."""
        return {
            "name": self.name,
            "description": self.description,
            "arguments": dict(self.arguments),
            "packages": [],
            "code": self.code,
        }


def write(lesson: Lesson, name: str, everything: Sequence[Example]) -> Known:
    """Write a lesson down as a function, its words told from those of all questions known."""
    wordings = lesson.wordings(everything)
    formula = to_python(lesson.program)
    count = len(lesson.explained)
    docstring = f"Return {formula}; learned from {count} example{'s'[: count > 1]}."
    return Known(
        name=name,
        code=to_function(name, lesson.program, docstring).strip(),
        description=describe(f"Works out {formula}.", wordings),
        arguments=schema(wordings),
    )
