"""Reads queries.sql: every statement stands there under its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PARAMETER = re.compile(r":(\w+)")


@cache
def queries() -> Mapping[str, str]:
    """Return the statements by name."""
    text = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


@cache
def by_place(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement with its parameters by place, and their names in that order.

    For what is written row by row: SQLite looks a parameter's name up for each row.
    """
    sql = queries()[name]
    return _PARAMETER.sub("?", sql), tuple(_PARAMETER.findall(sql))
