"""Calls as the official evaluation writes and reads them: as text.

Values stand in quotes and everything is text until it is read by its described type. What the
evaluation cannot read, such as lists inside of quotes, it counts as wrong; so does this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ....engine.errors import InvalidReply

_CALL = re.compile(r"\[(\w+)\((.*)\)\]")
_NAME = r"(\w+)\s*=\s*"
_PARAMETERS = [  # in this order at each place: quoted (ends at the first quote), list, bare word
    re.compile(rf"{_NAME}['\"](.+?)['\"]"),
    re.compile(rf"{_NAME}(\[.*\])"),
    re.compile(rf"{_NAME}(\w+)"),
]


def spell_call(name: str, parameters: Mapping[str, Any]) -> str:
    """Write a call as the dialogues show it."""
    spelled = ", ".join(f"{key}='{value}'" for key, value in parameters.items())
    return f"[{name}({spelled})]"


def read_call(text: str) -> tuple[str, dict[str, str]]:
    """Read a call.

    Raises:
        InvalidReply: There is none.
    """
    found = _CALL.search(text)
    if found is None:
        raise InvalidReply(f"there is no call in {text[:200]!r}")
    name, inside = found.groups()
    parameters: dict[str, str] = {}
    place = 0
    while (match := _next(inside, place)) is not None:
        parameters[match[1]] = match[2]
        place = match.end()
    return name, parameters


def typed(parameters: Mapping[str, Any], described: Mapping[str, Any]) -> dict[str, Any]:
    """Read the values of parameters, which are texts, by their described types.

    Raises:
        InvalidReply: A parameter is unknown, or its value is not of its type.
    """
    values = {}
    for name, value in parameters.items():
        if name not in described:
            raise InvalidReply(f"invalid parameter name: {name}")
        values[name] = _read(name, value, described[name]["type"])
    return values


def _read(name: str, value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        match kind:
            case "int" | "float" if not value.replace(".", "", kind == "float").isdigit():
                raise ValueError(f"no {kind}")
            case "int":
                return int(value)
            case "float":
                return float(value)
            case "bool":
                return value == "True"
            case "list" | "list(str)":
                return json.loads(value.replace("'", '"'))
    except (ValueError, RecursionError) as error:
        raise InvalidReply(f"invalid value of {name}: {error}") from None
    return value


def _next(text: str, place: int) -> re.Match[str] | None:
    """Return the parameter that begins first; of several there, the first form."""
    found = [match for form in _PARAMETERS if (match := form.search(text, place)) is not None]
    return min(found, key=lambda match: match.start(), default=None)
