"""Reads a function back out of a Python file, without importing it: an export, or any file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import ConfigError
from ...engine.functions import Function
from .parsing import parse

_LARGEST = 10_000_000  # bytes of a file
_TYPES = {
    "str": "string", "int": "integer", "float": "number", "bool": "boolean",
    "list": "array", "tuple": "array", "dict": "object", "None": "null",
}  # fmt: skip

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def read_function(path: Path, name: str) -> Function:
    """Return a top-level function of a file, its code being the whole file.

    The schema comes from the file's `TOOLS`, as exports have it, or else from the signature.

    Raises:
        ConfigError: The file cannot be read, does not parse, or defines no such function.
    """
    source = _read(path)
    try:
        tree = parse(source)
    except SyntaxError as error:
        problem = f"is not valid Python: line {error.lineno}: {error.msg}"
        raise ConfigError(problem, file=str(path)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"is not valid Python: {error}", file=str(path)) from None
    tool = _tools(tree).get(name)
    definition = _definition(tree, name)
    if tool is None and definition is None:
        raise ConfigError(_no_such(tree, name), file=str(path), key=name)
    schema = tool.get("parameters") if tool else None
    if not isinstance(schema, dict):
        schema = _schema(definition) if definition else {"type": "object"}
    description = (ast.get_docstring(definition) or "") if definition else ""
    return Function(
        name=name,
        description=description,
        arguments=schema,
        code=source,
        packages=tuple(sorted(_packages(tree))),
    )


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"is larger than {_LARGEST:,} bytes", file=str(path))
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=str(path)) from None


def _definition(tree: ast.Module, name: str) -> Definition | None:
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    return found[-1] if found else None


def _no_such(tree: ast.Module, name: str) -> str:
    names = sorted(
        {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} | set(_tools(tree))
    )
    names = [known for known in names if not known.startswith("_")]
    known = f"it defines {', '.join(names)}" if names else "it defines no function"
    return f"there is no function {name!r}; {known}"


def _tools(tree: ast.Module) -> dict[str, Mapping[str, Any]]:
    """Return the tools that an export lists, by name."""
    for node in tree.body:
        target: ast.expr | None = None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
        if isinstance(target, ast.Name) and target.id == "TOOLS":
            assert isinstance(node, ast.AnnAssign | ast.Assign)
            return {
                tool["name"]: tool
                for entry in _literal(node.value)
                if isinstance(entry, dict)
                and isinstance(tool := entry.get("function"), dict)
                and isinstance(tool.get("name"), str)
            }
    return {}


def _literal(node: ast.expr | None) -> list[Any]:
    try:
        value = ast.literal_eval(node) if node is not None else []
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return []
    return value if isinstance(value, list) else []


def _schema(definition: Definition) -> dict[str, Any]:
    given = definition.args
    positional = [*given.posonlyargs, *given.args]
    optional = {arg.arg for arg in positional[len(positional) - len(given.defaults) :]}
    optional |= {
        arg.arg
        for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if default is not None
    }
    names = [*positional, *given.kwonlyargs]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {arg.arg: _type(arg.annotation) for arg in names},
        "required": [arg.arg for arg in names if arg.arg not in optional],
    }
    if given.kwarg is None:
        schema["additionalProperties"] = False
    return schema


def _type(annotation: ast.expr | None) -> dict[str, Any]:
    node = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    if isinstance(node, ast.Name) and node.id in _TYPES:
        kind = _TYPES[node.id]
        return {"type": kind}
    return {}


def _packages(tree: ast.Module) -> Iterator[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    yield from names - set(sys.stdlib_module_names)
