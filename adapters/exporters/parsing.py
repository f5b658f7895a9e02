"""Parses code that a model wrote."""

from __future__ import annotations

import ast
import warnings


def parse(code: str) -> ast.Module:
    """Return the syntax tree. What the compiler only warns about is not our news.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It does not parse.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)
