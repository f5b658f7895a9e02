"""The texts of a critic: packaged files, each replaceable from the config."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from ..agents.template import check_prompt, fill
from ..errors import ConfigError

PLACEHOLDERS = ("dimensions", "format")
FULL_MARK = 10  # models judge in marks from 0; scores lie in [0, 1]


@cache
def packaged_dimensions() -> Mapping[str, str]:
    """Return the dimensions that come with the package: name -> what a full mark means."""
    return tomllib.loads(_read("dimensions.toml"))


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """What a critic is told before it sees a trajectory.

    Raises:
        ConfigError: A prompt lacks a placeholder, or there is no dimension.
    """

    dimensions: Mapping[str, str] = field(default_factory=packaged_dimensions)
    judging: str | None = None  # text that replaces critic.md
    comparing: str | None = None  # text that replaces pairwise.md
    judging_file: str | None = None  # where they were read, for error messages
    comparing_file: str | None = None

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ConfigError("a critic needs at least one dimension", key="critic.dimensions")
        if self.judging is not None:
            check_prompt(self.judging, PLACEHOLDERS, file=self.judging_file)
        if self.comparing is not None:
            check_prompt(self.comparing, PLACEHOLDERS, file=self.comparing_file)

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions' names, in their order."""
        return tuple(self.dimensions)

    def judge_prompt(self) -> str:
        """Return the system prompt that asks for a judgement."""
        return self._fill(self.judging or _read("critic.md"), self.judge_format())

    def prefer_prompt(self) -> str:
        """Return the system prompt that asks for a comparison."""
        return self._fill(self.comparing or _read("pairwise.md"), prefer_format())

    def judge_format(self) -> str:
        """Return the sentence that says how a judgement is spelled."""
        example = {
            "reason": "one or two sentences",
            "dimensions": dict.fromkeys(self.names, 0),
            "score": 0,
        }
        return fill(_phrases()["judge"], {"example": json.dumps(example, ensure_ascii=False)})

    def judge_schema(self) -> dict[str, object]:
        """Return the JSON Schema of a judgement, for providers that keep to one."""
        mark = {"type": "number", "minimum": 0, "maximum": FULL_MARK}
        return _object(
            {
                "reason": {"type": "string"},
                "dimensions": _object({name: dict(mark) for name in self.names}),
                "score": dict(mark),
            }
        )

    def _fill(self, prompt: str, form: str) -> str:
        listed = "\n".join(f"- {name}: {what}" for name, what in self.dimensions.items())
        return fill(prompt, {"dimensions": listed, "format": form})


def prefer_format() -> str:
    """Return the sentence that says how a comparison is spelled."""
    return _phrases()["prefer"]


def prefer_schema() -> dict[str, object]:
    """Return the JSON Schema of a comparison."""
    return _object(
        {
            "reason": {"type": "string"},
            "better": {"type": "string", "enum": ["first", "second", "tie"]},
        }
    )


def closing() -> str:
    """Return what stands behind the material, outside of every block."""
    return _phrases()["closing"]


def again(problem: str, form: str) -> str:
    """Return what a critic is told whose reply was no verdict."""
    return fill(_phrases()["again"], {"problem": problem, "format": form})


@cache
def _phrases() -> Mapping[str, str]:
    return tomllib.loads(_read("format.toml"))


def _read(name: str) -> str:
    return (resources.files(__package__) / "prompts" / name).read_text(encoding="utf-8")


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
