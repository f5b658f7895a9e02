"""What can be said of a function without running it: it parses, fits its schema, may be named so.

The code is untrusted. It is parsed, never compiled or imported.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .errors import InvalidEdit
from .functions import Function
from .schemas import schema_problem

CODE_CHARACTERS = 50_000
DESCRIPTION_CHARACTERS = 4_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")  # what every provider takes as a tool's name
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The parameters of a top-level function that can be given by keyword."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    positional_only: tuple[str, ...]
    takes_more: bool  # **kwargs

    def accepts(self, name: str) -> bool:
        """Whether the function can be called with this keyword."""
        return self.takes_more or name in self.required or name in self.optional


def check_function(
    function: Function, *, frozen_tools: Collection[str] = (), packages: Collection[str] = ()
) -> Function:
    """Return the function with its schema and packages completed from its code.

    The schema gets `required` from the signature where the model gave none, and forbids unknown
    arguments unless the function takes `**kwargs`. The packages become those that the code
    imports, whatever was declared.

    Args:
        function: As proposed.
        frozen_tools: Names that belong to tools which are not learned.
        packages: Import names that functions may use beyond the standard library.

    Raises:
        InvalidEdit: It cannot be used; the message is for the model that wrote it.
    """
    check_name(function.name, frozen_tools)
    tree = parse_code(function.code)
    definition = _definition(function.name, tree)
    description = function.description.strip() or (ast.get_docstring(definition) or "").strip()
    if not description:
        raise InvalidEdit("description is empty: say what the function does and when to use it.")
    if len(description) > DESCRIPTION_CHARACTERS:
        raise InvalidEdit(
            f"description has {len(description)} characters; at most "
            f"{DESCRIPTION_CHARACTERS} may be."
        )
    if (problem := schema_problem(function.arguments)) is not None:
        raise InvalidEdit(problem + ".")
    return replace(
        function,
        description=description,
        arguments=_fitted(function.arguments, _signature(definition)),
        packages=_packages(function, tree, packages),
    )


def check_name(name: str, frozen_tools: Collection[str] = ()) -> None:
    """Check that a learned function may have this name.

    Raises:
        InvalidEdit: It may not.
    """
    shown = repr(name[:80])
    if not _NAME.fullmatch(name):
        raise InvalidEdit(
            f"name: {shown} is no Python identifier of at most 64 ASCII letters, digits and "
            "underscores that begins with a letter."
        )
    if keyword.iskeyword(name):
        raise InvalidEdit(f"name: {shown} is a Python keyword. Choose another name.")
    if name in _BUILTINS:
        raise InvalidEdit(f"name: {shown} would hide Python's own {name}. Choose another name.")
    if name in frozen_tools:
        raise InvalidEdit(f"name: {shown} is a tool that cannot be changed. Choose another name.")


def parse_code(code: str) -> ast.Module:
    """Parse untrusted source, without executing anything.

    Raises:
        InvalidEdit: It is too long, nested too deep, or no Python.
    """
    if len(code) > CODE_CHARACTERS:
        raise InvalidEdit(
            f"code has {len(code)} characters; at most {CODE_CHARACTERS} may be. Write less."
        )
    try:
        with warnings.catch_warnings():
            # "\d" in a model's string is no news to the person who runs us
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as error:
        raise InvalidEdit(f"code does not parse: {_place(error, code)}") from None
    except (RecursionError, MemoryError):
        raise InvalidEdit("code is nested too deep to be parsed. Write it flatter.") from None
    except ValueError as error:  # null bytes, lone surrogates
        raise InvalidEdit(f"code is no valid text: {error}.") from None


def _place(error: SyntaxError, code: str) -> str:
    lines = code.splitlines()
    number = error.lineno or 0
    line = lines[number - 1].strip()[:120] if 0 < number <= len(lines) else ""
    return f"{error.msg} in line {number}" + (f": {line}" if line else ".")


def _definition(name: str, tree: ast.Module) -> ast.FunctionDef:
    """Return the last top-level definition of the function, the one that counts."""
    found: ast.stmt | None = None
    for statement in tree.body:
        if _binds(statement) == name:
            found = statement
    if found is None:
        others = ", ".join(filter(None, map(_binds, tree.body))) or "nothing"
        raise InvalidEdit(
            f"code does not define {name} at top level; it defines {others}. "
            "The name and the definition must be the same."
        )
    if not isinstance(found, ast.FunctionDef):
        what = "async def" if isinstance(found, ast.AsyncFunctionDef) else "class"
        raise InvalidEdit(f"code defines {name} by `{what}`; write a plain `def`.")
    return found


def _binds(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name
    return None


def _signature(definition: ast.FunctionDef) -> Signature:
    arguments = definition.args
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    required = [a.arg for a in positional[:first_default] if a in arguments.args]
    optional = [a.arg for a in positional[first_default:] if a in arguments.args]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        (required if default is None else optional).append(argument.arg)
    return Signature(
        required=tuple(required),
        optional=tuple(optional),
        # one that has a default can stay unset
        positional_only=tuple(
            a.arg for a in positional[:first_default] if a in arguments.posonlyargs
        ),
        takes_more=arguments.kwarg is not None,
    )


def _fitted(schema: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Return the schema completed from the signature.

    Raises:
        InvalidEdit: Schema and signature contradict each other.
    """
    properties = schema.get("properties", {})
    required = list(schema.get("required", ()))
    if signature.positional_only:
        raise InvalidEdit(
            f"code: {_list(signature.positional_only)} cannot be given by keyword; "
            "take the / out of the signature."
        )
    if unknown := [name for name in properties if not signature.accepts(name)]:
        raise InvalidEdit(
            f"arguments names {_list(unknown)}, but the def takes "
            f"{_list((*signature.required, *signature.optional))}. Make them the same."
        )
    if missing := [name for name in signature.required if name not in properties]:
        raise InvalidEdit(
            f"the def requires {_list(missing)}, which arguments does not describe. "
            "Describe it under properties, or give it a default."
        )
    if stray := [name for name in required if name not in properties]:
        raise InvalidEdit(f"required lists {_list(stray)}, which is not under properties.")
    needed = {*required, *signature.required}
    fitted = {
        **schema,
        "properties": dict(properties),
        "required": [name for name in properties if name in needed],
    }
    if not signature.takes_more:
        fitted["additionalProperties"] = False
    return fitted


def _packages(function: Function, tree: ast.Module, allowed: Collection[str]) -> tuple[str, ...]:
    must, may = _imports(tree)
    # declared and named in the code: it may be imported in a way that does not show
    may |= {p for p in function.packages if re.search(rf"\b{re.escape(p)}\b", function.code)}
    if refused := sorted(must - sys.stdlib_module_names - set(allowed)):
        usable = ", ".join(sorted(allowed)) or "none beyond the standard library"
        raise InvalidEdit(f"packages: {', '.join(refused)} is not available. Available: {usable}.")
    return tuple(sorted((must | may) & set(allowed) - sys.stdlib_module_names))


def _imports(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return what the code must import, and what it imports inside `try`: it has another way."""
    must: set[str] = set()
    may: set[str] = set()
    waiting: list[tuple[ast.AST, set[str]]] = [(tree, must)]
    while waiting:
        node, names = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise InvalidEdit("code: a relative import has nothing to import from.")
            names.add(node.module.partition(".")[0])
        tried = node.body if isinstance(node, ast.Try) else []
        waiting.extend(
            (child, may if child in tried else names) for child in ast.iter_child_nodes(node)
        )
    return must, may


def _list(names: Collection[str]) -> str:
    return ", ".join(names) or "no arguments"
