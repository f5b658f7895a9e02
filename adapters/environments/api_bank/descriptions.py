"""The APIs as their descriptions tell: tools for a model, and the types that text is read as."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....engine.errors import ConfigError
from ....engine.messages import Tool
from .apis import APIS

FILE = "api_descriptions.json"
SEARCHER = "ToolSearcher"
Descriptions = Mapping[str, Mapping[str, Any]]

_TYPES: Mapping[str, Mapping[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "object"}},
    "list(str)": {"type": "array", "items": {"type": "string"}},
}


def read_descriptions(folder: Path) -> Descriptions:
    """Read the descriptions of a data folder.

    Raises:
        ConfigError: There is no such file, it is not what it should be, or it describes an API
            that is not implemented here.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid JSON: {error}", file=str(path)) from None
    if not isinstance(found, dict) or not found:
        raise ConfigError("must be an object of API name -> description", file=str(path))
    for name, entry in found.items():
        _check(name, entry, str(path))
    return found


def tool(entry: Mapping[str, Any]) -> Tool:
    """Return an API as a model sees it."""
    name = entry["name"]
    optional = _optional(name)
    properties = {
        parameter: {**_TYPES[about["type"]], "description": about["description"]}
        for parameter, about in entry["input_parameters"].items()
    }
    returned = "; ".join(
        f"{output}: {about['description']}"
        for output, about in (entry.get("output_parameters") or {}).items()
    )
    return Tool(
        name=name,
        description=f"{entry['description']} Returns {returned}"
        if returned
        else entry["description"],
        arguments={
            "type": "object",
            "properties": properties,
            "required": [parameter for parameter in properties if parameter not in optional],
            "additionalProperties": False,
        },
    )


def _optional(name: str) -> frozenset[str]:
    if name == SEARCHER:
        return frozenset()
    parameters = inspect.signature(APIS[name]).parameters.values()
    return frozenset(p.name for p in parameters if p.default is not inspect.Parameter.empty)


def _check(name: str, entry: Any, file: str) -> None:
    if name not in APIS and name != SEARCHER:
        raise ConfigError(f"describes {name}, which is not implemented", file=file)
    parameters = entry.get("input_parameters") if isinstance(entry, dict) else None
    if not isinstance(parameters, dict) or not isinstance(entry.get("description"), str):
        raise ConfigError(f"{name} needs a description and input_parameters", file=file)
    for parameter, about in parameters.items():
        if not isinstance(about, dict) or about.get("type") not in _TYPES:
            raise ConfigError(
                f"{name}.{parameter} has no type out of {', '.join(_TYPES)}", file=file
            )
