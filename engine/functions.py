"""The learnable tool: a Python function that a model wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .canonical import content_hash
from .messages import Tool


@dataclass(frozen=True, kw_only=True)
class Function:
    """A learnable tool. Content-addressed: equal content, equal `hash`.

    The code is untrusted. It is never compiled, imported or run in the engine's process.
    """

    name: str  # a Python identifier; the code defines it at top level
    description: str  # what the agent reads to decide when to call it
    arguments: Mapping[str, Any]  # JSON Schema, type object
    code: str  # Python source
    packages: tuple[str, ...] = ()  # import names beyond the standard library, sorted

    @cached_property
    def hash(self) -> str:
        """Content hash."""
        return content_hash(self.to_json())

    def tool(self) -> Tool:
        """Return the function as the agent's model sees it: one object for all episodes."""
        return self._tool

    @cached_property
    def _tool(self) -> Tool:
        return Tool(name=self.name, description=self.description, arguments=self.arguments)

    def to_json(self) -> dict[str, Any]:
        """Return the function in the form that is hashed, stored and exported."""
        return {
            "name": self.name,
            "description": self.description,
            "arguments": dict(self.arguments),
            "packages": list(self.packages),
            "code": self.code,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Function:
        """Read what `to_json` wrote."""
        return cls(
            name=data["name"],
            description=data["description"],
            arguments=data["arguments"],
            packages=tuple(data["packages"]),
            code=data["code"],
        )
