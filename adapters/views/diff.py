"""What changed between two parameters versions, as unified diffs of readable text."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...engine.functions import Function
from ...engine.parameters import Parameters
from .text import printable

Change = Literal["added", "revised", "removed"]
LineKind = Literal["add", "remove", "hunk", "same"]
_MOST_LINES = 2_000  # of one diff that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """A line of a unified diff; the text begins with its `+`, `-`, `@@` or space."""

    kind: LineKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One function, or the instructions, that differ."""

    name: str
    change: Change
    lines: tuple[DiffLine, ...]

    @property
    def title(self) -> str:
        """Name and change, for a heading."""
        return f"{printable(self.name)} {self.change}"


def changes(old: Parameters, new: Parameters) -> list[Changed]:
    """Return what differs between two versions, by name."""
    found = []
    names = sorted({f.name for f in (*old.functions, *new.functions)})
    for name in names:
        before, after = old.function(name), new.function(name)
        if before != after:
            found.append(_changed(name, _text(before), _text(after)))
    if old.instructions != new.instructions:
        found.append(_changed("instructions", old.instructions, new.instructions))
    shown_before, shown_after = _demonstrations(old), _demonstrations(new)
    if shown_before != shown_after:
        found.append(_changed("demonstrations", shown_before, shown_after))
    if old.model != new.model:
        found.append(_changed("model", old.model or "", new.model or ""))
    return found


def function_text(function: Function) -> str:
    """Return a function as people read it: what the agent is told, then the code."""
    schema = json.dumps(function.arguments, indent=2, ensure_ascii=False, sort_keys=True)
    packages = f"packages: {', '.join(function.packages)}\n" if function.packages else ""
    return (
        f"description: {function.description}\n{packages}arguments: {schema}\n\n"
        f"{function.code.rstrip()}\n"
    )


def _text(function: Function | None) -> str:
    return function_text(function) if function else ""


def _demonstrations(parameters: Parameters) -> str:
    return "".join(f"{one.task_id}\n" for one in parameters.demonstrations)


def _changed(name: str, before: str, after: str) -> Changed:
    change: Change = "revised" if before and after else "added" if after else "removed"
    return Changed(name=name, change=change, lines=tuple(_diff(before, after)))


def _diff(before: str, after: str) -> Iterator[DiffLine]:
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=3)
    for number, line in enumerate(lines):
        if number < 2:
            continue  # the names of two files that are none
        if number > _MOST_LINES:
            yield DiffLine(kind="hunk", text="@@ more lines are not shown @@")
            return
        kinds: dict[str, LineKind] = {"+": "add", "-": "remove", "@": "hunk"}
        yield DiffLine(kind=kinds.get(line[:1], "same"), text=line)


def _lines(text: str) -> list[str]:
    lines = text.rstrip("\n").split("\n") if text else []
    return [printable(line, keep="\t") for line in lines[: _MOST_LINES * 4]]
