"""The acceptance policies by the name a config gives them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from ..acceptance import Acceptance
from ..errors import ConfigError
from .climbing import Climbing
from .fixed import Fixed
from .no_worse import NoWorse
from .paper import Paper
from .sequential import Sequential

POLICIES: Mapping[str, type[Any]] = {
    "paper": Paper,
    "no_worse": NoWorse,
    "fixed": Fixed,
    "sequential": Climbing,  # with climb = false: Sequential
}


def policy(name: str, options: Mapping[str, Any] | None = None) -> Acceptance:
    """Return the policy called `name`.

    Args:
        name: A key of `POLICIES`.
        options: Its settings; each policy's fields say which. `sequential` has one more: `climb`,
            on unless it is false.

    Raises:
        ConfigError: Unknown name or option (with the nearest one), wrong type or value.
    """
    if name not in POLICIES:
        raise ConfigError(_unknown(name, tuple(POLICIES)), key="acceptance.policy")
    options, kind, mode = dict(options or {}), POLICIES[name], ""
    if name == "sequential":
        climb = _typed(options.pop("climb", True), bool, "climb")
        kind, mode = (kind if climb else Sequential), f", with climb = {str(climb).lower()}"
    types = get_type_hints(kind)
    known = tuple(field.name for field in fields(kind))
    checked: dict[str, Any] = {}
    for key, value in options.items():
        if key not in known:
            raise ConfigError(_unknown(key, known) + mode, key=f"acceptance.{key}")
        checked[key] = _typed(value, types[key], key)
    made: Acceptance = kind(**checked)
    return made


def _typed(value: Any, wanted: Any, key: str) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    if get_args(wanted):  # a Literal of strings; the policy checks which
        wanted = str
    if type(value) is not wanted:
        raise ConfigError(f"{value!r} is not of type {wanted.__name__}", key=f"acceptance.{key}")
    return value


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name!r} is not known{hint} Allowed: {', '.join(known)}"
