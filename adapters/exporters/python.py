"""Functions as one typed Python module that needs nothing of funcforge.

Each function's code becomes part of the module as the model wrote it, with types and a docstring
out of its schema where it has none of its own. Imports at the head of a code are gathered on top.
Codes that would disturb one another (two helpers of one name, say) are each wrapped in a factory,
so that every function sees exactly the names that it saw when it was trained.
"""

from __future__ import annotations

import pprint
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...engine.errors import ConfigError
from ...engine.functions import Function
from ...engine.parameters import Parameters
from .annotate import annotate
from .openai import openai_tool
from .parsing import parse
from .scope import Scope, indent_code, split_imports

_ANY, _LITERAL = "from typing import Any", "from typing import Literal"
_HEADER = Scope.read("\n".join([_ANY, _LITERAL, "TOOLS = __all__ = []"]))
_WIDTH = 100  # columns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One function's code, ready to be placed."""

    name: str
    imports: tuple[str, ...]
    code: str
    scope: Scope


def export_python(parameters: Parameters, title: str) -> str:
    """Return the module's source.

    Args:
        parameters: What was learned.
        title: Where it comes from: one line for the module's docstring.

    Raises:
        ConfigError: A function's code does not parse or cannot stand beside another's.
    """
    parts = [_part(function) for function in parameters.functions]
    nested = _disturbing(parts)
    imports = {_ANY, _LITERAL}
    body: list[str] = []
    for part in parts:
        if part.name in nested:
            body.append(_wrapped(part))
        else:
            imports.update(part.imports)
            body.append(part.code.strip())
    if not any("Literal[" in text for text in body):
        imports.discard(_LITERAL)
    return _writable("\n\n\n".join([_head(parameters, title, imports), *body]) + "\n")


def _part(function: Function) -> _Part:
    try:
        code = annotate(function)
        imports, rest = split_imports(code)
        scope = Scope.read(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"the code does not parse: {error}", key=function.name) from None
    return _Part(name=function.name, imports=imports, code=rest, scope=scope)


def _disturbing(parts: Sequence[_Part]) -> set[str]:
    """Return the functions whose names, beside their own, another code also mentions."""
    nested: set[str] = set()
    for part in parts:
        others = [_HEADER, *(other.scope for other in parts if other is not part)]
        private = {name: how for name, how in part.scope.bound.items() if name != part.name}
        if any(other.mentions(name, how) for name, how in private.items() for other in others):
            if part.scope.needs_module:
                raise ConfigError(
                    "its code uses `global` or `import *` and shares names with another "
                    "function's: export it alone, or let it be revised",
                    key=part.name,
                )
            nested.add(part.name)
    return nested


def _wrapped(part: _Part) -> str:
    imports = "\n".join(line for line in part.imports if "__future__" not in line)
    code = "\n\n".join(text for text in (imports, part.code.strip("\n")) if text)
    return (
        f"def _make_{part.name}() -> Any:\n{indent_code(code)}\n    return {part.name}\n\n\n"
        f"{part.name} = _make_{part.name}()"
    )


def _head(parameters: Parameters, title: str, imports: Iterable[str]) -> str:
    names = [function.name for function in parameters.functions]
    packages = sorted({p for function in parameters.functions for p in function.packages})
    needs = f"\n\nNeeds: {', '.join(packages)}.\n" if packages else ""
    tools = pprint.pformat(
        [openai_tool(function) for function in parameters.functions], width=96, sort_dicts=False
    )
    return "\n".join(
        [
            f'"""Functions learned by funcforge: {_plain(title)}.{needs}"""',
            "",
            # annotations stay text: a model's own ones may name what it never imported
            "from __future__ import annotations",
            "",
            *_merged(line for line in imports if "__future__" not in line),
            "",
            f"__all__ = {[*names, 'TOOLS']!r}",
            "",
            "# the functions as chat models are told of them",
            f"TOOLS: list[dict[str, Any]] = {tools}",
        ]
    )


def _merged(imports: Iterable[str]) -> Iterator[str]:
    """Sort imports and gather `from` imports by module."""
    names: dict[str, list[str]] = {}
    for line in sorted(imports, key=lambda line: (line.startswith("from "), line)):
        if line.startswith("import "):
            yield line
        else:
            module, name = line.removeprefix("from ").split(" import ", 1)
            names.setdefault(module, []).append(name)
    for module, imported in names.items():
        line = f"from {module} import {', '.join(imported)}"
        if len(line) > _WIDTH:
            line = f"from {module} import (\n    " + ",\n    ".join(imported) + ",\n)"
        yield line


def _plain(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")


def _writable(source: str) -> str:
    """Replace lone surrogates, which no file can hold, and check that the whole still parses."""
    source = source.encode("utf-8", "replace").decode("utf-8")
    try:
        parse(source)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"the functions do not make one module: {error}") from None
    return source
