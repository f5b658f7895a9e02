"""Adds types and a docstring to a function's code, out of its JSON Schema.

Text is inserted only: what the model wrote stays as it stands, comments and layout included.
"""

from __future__ import annotations

import ast
import io
import json
import textwrap
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.functions import Function
from .parsing import parse

_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "array": "list[Any]",
    "object": "dict[str, Any]",
}
_DEEPEST = 4  # nested arrays spelled out in a type
_WIDTH = 88  # columns of docstring text
_MOST_CHOICES = 12  # values of an enum spelled out in a type

_Insertion = tuple[int, int, str]  # line from 1, column in UTF-8 bytes, text


def annotate(function: Function) -> str:
    """Return the code with the function's parameters, result and purpose described.

    Raises:
        SyntaxError: The code does not parse.
        ValueError: The code does not define the function.
    """
    code = function.code.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", " ")
    code = code.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
    definition = _definition(parse(code), function.name)
    if definition is None:
        raise ValueError(f"it does not define {function.name}")
    insertions = [*_argument_types(definition, code, function.arguments)]
    end = _signature_end(definition, code)
    if definition.returns is None:
        insertions.append((*end, " -> Any"))
    if ast.get_docstring(definition) is None:
        insertions.append(_docstring(definition, function, end[0], code))
    return _insert(code, insertions)


def python_type(schema: Any, depth: int = 0) -> str:
    """Return the Python type of a JSON Schema, `Any` where it says nothing definite."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return "Any"
    choices = schema.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= _MOST_CHOICES:
        if all(isinstance(choice, str | int) for choice in choices):
            return f"Literal[{', '.join(repr(choice) for choice in choices)}]"
        return "Any"
    kind = schema.get("type")
    if isinstance(kind, list):
        names = [python_type({**schema, "type": one}, depth + 1) for one in kind]
        return " | ".join(dict.fromkeys(names)) or "Any"
    if kind == "array" and "items" in schema:
        return f"list[{python_type(schema['items'], depth + 1)}]"
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def docstring(function: Function) -> str:
    """Return the text of a docstring: the description, then each argument's own."""
    lines = [_clean(function.description) or f"{function.name}."]
    properties = function.arguments.get("properties")
    described = [
        f"    {name}: {_clean(text)}"
        for name, schema in (properties.items() if isinstance(properties, Mapping) else ())
        if isinstance(schema, Mapping) and isinstance(text := schema.get("description"), str)
    ]
    if described:
        lines += ["", "Args:", *described]
    return "\n".join(
        wrapped
        for line in lines
        for wrapped in (
            textwrap.wrap(line, _WIDTH, subsequent_indent="        " if line[:1] == " " else "")
            or [""]
        )
    )


Definition = ast.FunctionDef | ast.AsyncFunctionDef


def _definition(tree: ast.Module, name: str) -> Definition | None:
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    return found[-1] if found else None


def _argument_types(
    definition: Definition, code: str, arguments: Mapping[str, Any]
) -> Iterator[_Insertion]:
    lines = [line.encode() for line in code.split("\n")]
    properties = arguments.get("properties")
    schemas = properties if isinstance(properties, Mapping) else {}
    given = definition.args
    for arg in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
        if arg.annotation is not None:
            continue
        line, column = arg.end_lineno or 0, arg.end_col_offset or 0
        text = f": {python_type(schemas.get(arg.arg))}"
        if lines[line - 1][column : column + 1] == b"=":
            # `x=1` with a type is written `x: int = 1`
            yield line, column + 1, " "
            text += " "
        yield line, column, text


def _signature_end(definition: Definition, code: str) -> tuple[int, int]:
    """Return the place behind the closing parenthesis: the last before the signature's colon."""
    lines = code.split("\n")
    start = definition.lineno - 1
    tokens = tokenize.generate_tokens(io.StringIO("\n".join(lines[start:])).readline)
    depth, place = 0, (0, 0)
    for token in tokens:
        if token.type != tokenize.OP:
            continue
        depth += (token.string in "([{") - (token.string in ")]}")
        if token.string == ")" and depth == 0:
            place = token.end
        elif token.string == ":" and depth == 0:
            break
    line = start + place[0]
    return line, len(lines[line - 1][: place[1]].encode())


def _docstring(
    definition: Definition, function: Function, signature_ends: int, code: str
) -> _Insertion:
    first = definition.body[0]
    decorators = getattr(first, "decorator_list", [])
    line = min([first.lineno, *(decorator.lineno for decorator in decorators)])
    text = docstring(function).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if line <= signature_ends:  # `def f(x): return x`
        indent = " " * (definition.col_offset + 4)
        return first.lineno, first.col_offset, f"\n{_quoted(text, indent)}\n{indent}"
    indent = code.split("\n")[line - 1].encode()[: first.col_offset].decode()  # spaces or tabs
    return line, 0, f"{_quoted(text, indent)}\n"


def _quoted(text: str, indent: str) -> str:
    lines = text.split("\n")
    last = '"""' if len(lines) == 1 and not text.endswith('"') else f'\n{indent}"""'
    body = "\n".join(
        [f'{indent}"""{lines[0]}', *(f"{indent}{line}".rstrip() for line in lines[1:])]
    )
    return body + last


def _insert(code: str, insertions: list[_Insertion]) -> str:
    lines = [line.encode() for line in code.split("\n")]
    for line, column, text in sorted(insertions, reverse=True):
        old = lines[line - 1]
        lines[line - 1] = old[:column] + text.encode() + old[column:]
    result = "\n".join(line.decode() for line in lines)
    parse(result)
    return result


def _clean(text: str) -> str:
    """Keep what can stand in a docstring: one line, printable."""
    text = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
