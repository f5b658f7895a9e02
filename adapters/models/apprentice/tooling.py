"""How a function says what it is for: the words of its questions, and where each argument stands.

Written by the optimizer role into descriptions and schemas, read by the agent role from there and
from nowhere else. A tool that was written by someone else is read as far as its words go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ....engine.messages import Tool
from .cues import Cue, parse
from .text import STOP_WORDS, Kind, Question

_Property = tuple[str, str, str]  # name, description, type
INTRODUCTION = "Use it for questions with these words:"
FITS = 0.7  # share of a wording's words that a question must have
_FITS_FOREIGN = 0.5  # the same for a description that was not written for the apprentice
_KIND_OF_TYPE: Mapping[str, tuple[Kind, ...]] = {
    "number": ("number",),
    "integer": ("number",),
    "array": ("list",),
    "object": ("table",),
    "string": ("date", "time", "row", "column"),
}


@dataclass(frozen=True, slots=True)
class Wording:
    """One way of asking that a function answers."""

    words: frozenset[str]
    cues: Mapping[str, Cue]  # by argument

    def read(self, question: Question) -> dict[str, Any] | None:
        """Return the arguments, or None where one of them is not in the question."""
        arguments = {name: cue.find(question) for name, cue in self.cues.items()}
        return None if None in arguments.values() else arguments


@dataclass(frozen=True, slots=True)
class Use:
    """A tool that fits a question, with its arguments."""

    name: str
    arguments: Mapping[str, Any]
    rank: float  # higher fits better


def describe(summary: str, wordings: Sequence[Wording]) -> str:
    """Return a function's description."""
    lines = [", ".join(sorted(wording.words)) for wording in wordings]
    return "\n".join([summary, INTRODUCTION, *(f"- {line}" for line in lines)])


def schema(wordings: Sequence[Wording]) -> dict[str, Any]:
    """Return the JSON Schema of a function's arguments, each with where it stands."""
    names = list(wordings[0].cues)
    return {
        "type": "object",
        "properties": {
            name: {
                **_TYPES[wordings[0].cues[name].kind],
                "description": _places([wording.cues[name] for wording in wordings]),
            }
            for name in names
        },
        "required": names,
        "additionalProperties": False,
    }


_TYPES: Mapping[str, Mapping[str, Any]] = {
    "number": {"type": "number"},
    "list": {"type": "array", "items": {"type": "number"}, "minItems": 1},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": r"^\d{1,2}:\d\d$"},
    "row": {"type": "string"},
    "column": {"type": "string"},
    "table": {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}


def _places(cues: Sequence[Cue]) -> str:
    if len(set(cues)) == 1:
        return cues[0].phrase()
    return "; ".join(f"wording {i}: {cue.phrase()}" for i, cue in enumerate(cues, 1))


def wordings_of(tool: Tool) -> tuple[Wording, ...]:
    """Return the wordings that a tool's description gives. None: it is not of this form."""
    return _wordings(tool.description, tuple(_properties(tool)))


@lru_cache(maxsize=1024)
def _wordings(description: str, properties: tuple[_Property, ...]) -> tuple[Wording, ...]:
    _, found, listed = description.partition(INTRODUCTION)
    lines = [line[2:] for line in listed.splitlines() if line.startswith("- ")]
    cues_of = {name: parse(text) for name, text, _ in properties}
    if not found or not all(len(cues) in (1, len(lines)) for cues in cues_of.values()):
        return ()
    return tuple(
        Wording(
            frozenset(word.strip() for word in line.split(",")),
            {name: cues[i % len(cues)] for name, cues in cues_of.items()},
        )
        for i, line in enumerate(lines)
    )


def places(tool: Tool) -> dict[str, list[Cue]]:
    """Return where each argument stands, by wording, as far as the schema says so."""
    return {name: parse(text) for name, text, _ in _properties(tool)}


def uses(question: Question, tools: Sequence[Tool]) -> list[Use]:
    """Return the tools that fit a question, the best first."""
    found = [use for tool in tools if (use := _use(question, tool)) is not None]
    return sorted(found, key=lambda use: (-use.rank, use.name))


def _use(question: Question, tool: Tool) -> Use | None:
    wordings = wordings_of(tool)
    if not wordings:
        return _foreign_use(question, tool)
    best: Use | None = None
    for wording in wordings:
        matched = len(wording.words & question.words)
        if matched < FITS * len(wording.words):
            continue
        arguments = wording.read(question)
        # a missing word tells more against a wording than a present one tells for it
        rank = matched - 2.0 * (len(wording.words) - matched)
        if arguments is not None and (best is None or rank > best.rank):
            best = Use(tool.name, arguments, rank)
    return best


def _foreign_use(question: Question, tool: Tool) -> Use | None:
    """Fit a tool by its plain description, and its arguments by their names and types."""
    about = _words_in(f"{tool.name} {tool.description}") - STOP_WORDS
    matched = len(about & question.words)
    if not about or matched < _FITS_FOREIGN * len(about):
        return None
    arguments: dict[str, Any] = {}
    for name, text, kind in _properties(tool):
        value = _near(question, _words_in(f"{name} {text}"), _KIND_OF_TYPE.get(kind, ()))
        if value is None:
            return None
        arguments[name] = value
    return Use(tool.name, arguments, matched - 2.0 * (len(about) - matched)) if arguments else None


def _near(question: Question, words: frozenset[str], kinds: tuple[Kind, ...]) -> Any | None:
    """Return the quantity of a kind that has one of the words right beside it."""
    for at, token in enumerate(question.tokens):
        beside = question.tokens[max(0, at - 1) : at] + question.tokens[at + 1 : at + 2]
        if token.kind in kinds and any(near.text in words for near in beside):
            return token.value
    return None


def _properties(tool: Tool) -> Iterator[_Property]:
    """Yield name, description and type of each argument. The schema is untrusted."""
    properties = tool.arguments.get("properties")
    for name, spec in properties.items() if isinstance(properties, Mapping) else ():
        spec = spec if isinstance(spec, Mapping) else {}
        yield str(name), str(spec.get("description", "")), str(spec.get("type", ""))


def _words_in(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", text.lower()))
