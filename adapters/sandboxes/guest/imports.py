"""Which packages a piece of code names."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

# modules of an allowed package that programs import by another name
_COMPANIONS = {
    "sympy": ("mpmath",),
    "pandas": ("dateutil", "pytz", "tzdata", "six", "numpy"),
    "scipy": ("numpy",),
}

# imported into the warm parent, so that calls find them loaded
_PRELOADED = {
    "": (
        "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
        "fractions", "functools", "heapq", "itertools", "json", "math", "operator", "random", "re",
        "statistics", "string", "textwrap", "typing", "asyncio", "base64", "calendar", "hashlib",
    ),
    "sympy": (
        "sympy", "sympy.parsing.sympy_parser", "sympy.solvers.diophantine", "sympy.stats",
        "sympy.geometry", "sympy.combinatorics", "sympy.ntheory.modular",
    ),
    "numpy": ("numpy", "numpy.linalg", "numpy.polynomial", "numpy.random"),
    "pandas": ("pandas",),
    "scipy": (
        "scipy", "scipy.integrate", "scipy.interpolate", "scipy.linalg", "scipy.optimize",
        "scipy.sparse", "scipy.spatial", "scipy.special", "scipy.stats",
    ),
}  # fmt: skip


def preload(packages: tuple[str, ...]) -> None:
    """Import the standard modules in frequent use, and those of the named packages."""
    for package in ("", *packages):
        for module in _PRELOADED.get(package, (package,)):
            __import__(module)


def companions(packages: tuple[str, ...]) -> set[str]:
    """Return the packages with those that come with them."""
    return {*packages, *(name for package in packages for name in _COMPANIONS.get(package, ()))}


def foreign_imports(tree: ast.Module, packages: tuple[str, ...]) -> list[str]:
    """Return the packages that a piece of code needs and may not have.

    An import inside `try` does not count: the code has another way.
    """
    allowed = companions(packages)
    names = {name.partition(".")[0] for name in _imported(tree)}
    return sorted(name for name in names - allowed if name not in sys.stdlib_module_names)


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
        elif isinstance(child, ast.Try):
            for part in (*child.orelse, *child.finalbody):
                yield from _imported(part)
        else:
            yield from _imported(child)
