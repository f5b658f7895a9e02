"""What a piece of code does with names at module level, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .parsing import parse

_ASSIGNED = "assignment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The names of one function's code."""

    bound: Mapping[str, str]  # name at module level -> how it is bound, comparable as text
    mentioned: frozenset[str]  # every name that stands anywhere in the code
    needs_module: bool  # uses `global` or `import *`, which only work at module level

    @classmethod
    def read(cls, code: str) -> Scope:
        """Read code without running it.

        Raises:
            SyntaxError: It does not parse.
        """
        tree = parse(code)
        bound: dict[str, str] = {}
        for statement in tree.body:
            for name, how in _bindings(statement):
                bound[name] = how if bound.get(name, how) == how else _ASSIGNED
        nodes = list(ast.walk(tree))
        mentioned = {node.id for node in nodes if isinstance(node, ast.Name)} | set(bound)
        stars = any(
            isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
            for node in nodes
        )
        return cls(
            bound=bound,
            mentioned=frozenset(mentioned),
            needs_module=stars or any(isinstance(node, ast.Global) for node in nodes),
        )

    def mentions(self, name: str, how: str) -> bool:
        """Whether this code would notice that `name` is bound as another code binds it."""
        # equal imports and definitions are one; equal assignments would still share state
        return name in self.mentioned and (how == _ASSIGNED or self.bound.get(name) != how)


def split_imports(code: str) -> tuple[tuple[str, ...], str]:
    """Take the imports at the head of a code out of it.

    Returns:
        The imports, one name each, and the rest of the code with its comments.
    """
    tree = parse(code)
    lines = code.split("\n")
    imports: list[str] = []
    body = tree.body
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.Import | ast.ImportFrom) or _has_star(statement):
            break
        if following is not None and following.lineno == statement.end_lineno:
            break  # `import a; b = 1` on one line
        imports += _single_imports(statement)
        for number in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
            lines[number] = ""
    return tuple(imports), "\n".join(lines)


def indent_code(code: str) -> str:
    """Indent code by four spaces, but not the inside of texts that span lines."""
    inside: set[int] = set()
    tree = parse(code)
    docstrings = {id(node) for node in _docstrings(tree)}
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        ):
            inside.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    lines = code.split("\n")
    return "\n".join(
        line if number in inside or not line.strip() else f"    {line}"
        for number, line in enumerate(lines, start=1)
    )


def _docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    """Find the texts whose indentation is no matter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def _has_star(statement: ast.Import | ast.ImportFrom) -> bool:
    return any(alias.name == "*" for alias in statement.names)


def _single_imports(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in statement.names:
        name = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
        if isinstance(statement, ast.Import):
            yield f"import {name}"
        else:
            yield f"from {'.' * statement.level}{statement.module or ''} import {name}"


def _bindings(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    match statement:
        case ast.Import(names=names):
            for alias in names:
                # `import a.b` binds `a`
                name = alias.asname or alias.name.partition(".")[0]
                yield name, f"import {alias.name if alias.asname else name}"
        case ast.ImportFrom(module=module, names=names):
            for alias in names:
                if alias.name != "*":
                    yield alias.asname or alias.name, f"from {module} import {alias.name}"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, ast.dump(statement)
        case _:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id, _ASSIGNED
                elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                    yield node.name, _ASSIGNED
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    yield from _bindings(node)
