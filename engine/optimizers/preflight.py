"""Runs a proposed function before any episode is paid for. Costs no model call.

Smoke: one call with arguments made from the schema. Made-up values may be wrong for the function,
so only errors that no arguments can explain refuse it. Regression replay: a revised function is
called as its predecessor was called in episodes that were solved; results that differ go back to
the optimizer, which may have meant it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from ..episode import Episode, FunctionCall
from ..errors import InvalidEdit, InvalidReply, SandboxError
from ..functions import Function
from ..optimizer import Workbench
from ..ports import CallResult
from ..schemas import validate_arguments
from ..workspace import cut, render
from .ledger import calls_of

REPLAYED_CALLS = 20
_TOLD_EXAMPLES = 2
_TOLD_CHARACTERS = 300

# errors of the code itself; whatever the arguments were, they cannot be meant
_BROKEN = re.compile(r"(NameError|UnboundLocalError|ImportError|ModuleNotFoundError)\b")
_SIGNATURE = re.compile(
    r"TypeError: (?P<name>\w+)\(\) (?:missing \d+ required|got an unexpected keyword"
    r"|takes \d+ positional|got some positional-only|got multiple values)"
)


async def smoke(function: Function, workbench: Workbench) -> None:
    """Call a function once with arguments made from its schema.

    Raises:
        InvalidEdit: It breaks in a way that no arguments explain. For the model.
        SandboxError: The sandbox failed.
    """
    arguments = example(function.arguments)
    try:
        validate_arguments(function.arguments, arguments)
    except InvalidReply:
        return  # a schema that is too particular to make up a call for
    result = await _call(function, arguments, workbench)
    if result.outcome != "exception":
        return
    signature = _SIGNATURE.match(result.error)
    broken = _BROKEN.match(result.error)
    if broken or (signature and signature["name"] == function.name):
        raise InvalidEdit(
            f"{function.name} breaks whatever its arguments are. Called with "
            f"{cut(json.dumps(arguments, ensure_ascii=False), _TOLD_CHARACTERS)}: "
            f"{cut(result.error, 2 * _TOLD_CHARACTERS)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A call whose result is another one now."""

    arguments: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A revised function on the recorded calls of its predecessor."""

    calls: int
    changes: tuple[Change, ...]

    def told(self, name: str) -> str:
        """Return what the optimizer's model is told."""
        examples = "; ".join(
            f"{name}({cut(change.arguments, _TOLD_CHARACTERS)}) returned "
            f"{cut(change.before, _TOLD_CHARACTERS)}, now {cut(change.after, _TOLD_CHARACTERS)}"
            for change in self.changes[:_TOLD_EXAMPLES]
        )
        return (
            f"{len(self.changes)} of {self.calls} results changed in calls of tasks that were "
            f"solved, for example: {examples}. Correct it, or send the same revision again if "
            "the change is meant."
        )


async def replay(
    before: Function, after: Function, episodes: Sequence[Episode], workbench: Workbench
) -> Replay:
    """Call a revised function as its predecessor was called in solved episodes.

    A result counts as changed only if the predecessor still gives the recorded one: what depends
    on chance or time says nothing.

    Raises:
        SandboxError: The sandbox failed.
    """
    recorded = list(_recorded(before, episodes))[:REPLAYED_CALLS]
    found: list[Change | None] = [None] * len(recorded)
    broken: list[SandboxError] = []

    async def compare(at: int, call: FunctionCall) -> None:
        try:
            found[at] = await _compare(before, after, call, workbench)
        except SandboxError as error:  # raised below, where no group wraps it
            broken.append(error)

    async with anyio.create_task_group() as calls:
        for at, call in enumerate(recorded):
            calls.start_soon(compare, at, call)
    if broken:
        raise broken[0]
    return Replay(calls=len(recorded), changes=tuple(c for c in found if c is not None))


async def _compare(
    before: Function, after: Function, call: FunctionCall, workbench: Workbench
) -> Change | None:
    arguments = json.loads(call.arguments)
    try:
        validate_arguments(after.arguments, arguments)
        now = render(await _call(after, arguments, workbench))
    except InvalidReply as error:
        now = f"Refused: {error}"
    if _same(now, call.result):
        return None
    again = render(await _call(before, arguments, workbench))
    if again != call.result:
        return None
    return Change(arguments=call.arguments, before=call.result, after=now)


def _same(now: str, before: str) -> bool:
    """Whether two results say the same: equal texts, or equal numbers such as 70 and 70.0."""
    if now == before:
        return True
    try:
        return float(now) == float(before)
    except ValueError:
        return False


def _recorded(function: Function, episodes: Sequence[Episode]) -> Iterator[FunctionCall]:
    """Yield the calls that gave a value in solved episodes, equal arguments once."""
    seen: set[str] = set()
    for episode in episodes:
        for call in calls_of(function, episode) if episode.solved else ():
            if call.outcome == "value" and call.arguments not in seen and _object(call.arguments):
                seen.add(call.arguments)
                yield call


def _object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


async def _call(
    function: Function, arguments: Mapping[str, Any], workbench: Workbench
) -> CallResult:
    result = await workbench.call(function, arguments)
    if result.outcome == "system_failure":
        raise SandboxError(result.error or "the sandbox failed")
    return result


def example(schema: Mapping[str, Any]) -> Any:
    """Return a value that fits a simple schema: the plainest there is."""
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _example_or_text(schema[key][0])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    match kind:
        case "object":
            return _object_example(schema)
        case "array":
            count = min(max(int(schema.get("minItems", 2)), 0), 10)
            return [_example_or_text(schema.get("items", {})) for _ in range(count)]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
    length = min(int(schema.get("minLength", 1)), 100)
    return "1" * max(1, length)  # a text that is also a number and an expression


def _object_example(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    return {name: _example_or_text(properties[name]) for name in required if name in properties}


def _example_or_text(schema: Any) -> Any:
    return example(schema) if isinstance(schema, Mapping) else "1"


def _number(schema: Mapping[str, Any]) -> float:
    low: float | None = schema.get("minimum", schema.get("exclusiveMinimum"))
    high: float | None = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None:
        return low + 1 if "exclusiveMinimum" in schema or low == 0 else low
    return min(2, high - 1) if high is not None else 2
