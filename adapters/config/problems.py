"""Turns what is wrong with a config into sentences: which file, key and value, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...engine.errors import ConfigError
from ..secrets import MASK, looks_secret, redactor
from .sections import SPLITS, AccountLimits, Config, ModelConfig, SplitConfig

_SHOWN = 80  # characters of a wrong value
_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": 'a text in quotes, e.g. "..."',
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "tuple_type": 'a list, e.g. ["a", "b"]',
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to change."""

    source: str | None  # the file, "environment variable X" or "--set X"
    key: str  # dotted; empty: the config as a whole
    message: str

    def line(self) -> str:
        """Return the problem as one line."""
        return ": ".join(part for part in (self.source, self.key, self.message) if part)


def raise_problems(problems: list[Problem]) -> None:
    """Raise one error that names every problem; return if there is none.

    Raises:
        ConfigError: There is at least one.
    """
    if not problems:
        return
    if len(problems) == 1:
        only = problems[0]
        raise ConfigError(only.message, file=only.source, key=only.key or None)
    lines = "\n".join(f"  {problem.line()}" for problem in problems)
    raise ConfigError(f"{len(problems)} problems:\n{lines}")


def from_validation(
    error: ValidationError, origin: Mapping[str, str], file: str, above: tuple[str, ...] = ()
) -> list[Problem]:
    """Translate pydantic's errors.

    Args:
        error: What pydantic raised for `Config`.
        origin: Dotted key -> where it was set, for keys that are not of the file.
        file: The config file.
        above: The table that was validated, where it was not the whole.
    """
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        location = _location((*above, *detail["loc"]))
        key = ".".join(location)
        source = _source(key, detail["type"], origin) or file
        problem = Problem(source=source, key=key, message=_message(detail, location))
        problems[key or problem.message] = problem  # the branches of a union each complain
    return list(problems.values())


def _source(key: str, kind: str, origin: Mapping[str, str]) -> str | None:
    for set_key, source in origin.items():
        if key == set_key or key.startswith(f"{set_key}."):
            return source
        if kind == "extra_forbidden" and set_key.startswith(f"{key}."):
            return source  # a table that only this setting made
    return None


def dotted(parts: Iterable[str]) -> str:
    """Spell a key as TOML does: parts that hold anything but word characters are quoted."""
    return ".".join(
        part if part.replace("_", "").replace("-", "").isalnum() else json.dumps(part)
        for part in parts
    )


def _location(parts: tuple[int | str, ...]) -> list[str]:
    """Drop the names that pydantic gives to the branches of a union."""
    location: list[str] = []
    for part in parts:
        if isinstance(part, int):
            location.append(str(part))
        elif "[" not in part and part not in ("int", "str", "float"):
            location.append(dotted([part]))
    return location


def _message(detail: ErrorDetails, location: list[str]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    value = "" if kind == "missing" else f", not {_shown(location, detail['input'])}"
    if kind == "missing":
        return _missing(location)
    if kind == "extra_forbidden":
        return f"unknown key{nearest(location)}"
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", '"')
        return f"allowed {'is' if ' or ' not in allowed else 'are'} {allowed}{value}"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}{value}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {context[name]}{value}"
    text = str(context.get("error", detail["msg"]))
    whole = isinstance(detail["input"], Mapping | BaseModel)
    return text if whole else f"{text} (it is {_shown(location, detail['input'])})"


def _missing(location: list[str]) -> str:
    example = {
        "agent": 'is missing: add [agent] with model = "provider/model"',
        "agent.model": 'is missing: name a model, e.g. model = "openai/gpt-4o-mini"',
        "tasks": 'is missing: add [tasks] with path = "tasks.jsonl" and train = 20',
    }
    return example.get(".".join(location), "is missing")


def _shown(location: list[str], value: Any) -> str:
    if location and looks_secret(location[-1], value):
        return MASK
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    text = redactor()(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def nearest(location: list[str]) -> str:
    """Return `; did you mean X?` for an unknown key, looking in its table, then everywhere."""
    tables = _tables()
    parent, name = ".".join(location[:-1]), location[-1]
    here = [*tables.get(parent, _keys_of_named(parent))]
    if close := difflib.get_close_matches(name, here, n=1, cutoff=0.5):
        return f'; did you mean "{close[0]}"?'
    everywhere = [
        f"{table}.{key}" if table else key for table, keys in tables.items() for key in keys
    ]
    if elsewhere := [key for key in everywhere if key.rpartition(".")[2] == name]:
        return f'; did you mean "{elsewhere[0]}"?'
    return f"; allowed are {', '.join(sorted(here))}" if here else ""


def _tables() -> dict[str, tuple[str, ...]]:
    tables: dict[str, tuple[str, ...]] = {"": tuple(Config.model_fields)}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            tables[name] = tuple(field.annotation.model_fields)
    tables.update({f"tasks.{split}": tuple(SplitConfig.model_fields) for split in SPLITS})
    return tables


def _keys_of_named(table: str) -> tuple[str, ...]:
    """Return the keys of a table whose name a person chose."""
    if table.startswith("models."):
        return tuple(ModelConfig.model_fields)
    if table.startswith("limits.accounts."):
        return tuple(AccountLimits.model_fields)
    return ()
