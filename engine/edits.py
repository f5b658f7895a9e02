"""Reads what an optimizer's model wrote as an edit: tolerant of form, strict about meaning.

Models encode JSON twice, fence code, spell types as Python does and forget `type: object`. Where
only one thing can be meant, it is taken; everything else is refused with a reason to act on.
Nothing that is cut off is ever completed.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .canonical import canonical_json
from .errors import InvalidEdit
from .function_checks import parse_code
from .functions import Function
from .messages import ToolCall
from .parameters import AddFunction, Edit, Parameters, RemoveFunction, ReviseFunction
from .schemas import SCHEMA_CHARACTERS, SCHEMA_DEPTH, TYPES, too_deep

ACTIONS = ("add_function", "revise_function", "remove_function", "terminate")
CALL_CHARACTERS = 200_000  # longer ones are refused unread
_NO_PACKAGES = frozenset({"", "none", "null", "n/a", "[]"})
_FENCE = re.compile(r"\s*```[\w+-]*[ \t]*\r?\n(?P<body>.*?)\n?[ \t]*```\s*", re.DOTALL)
_TYPES = {
    "str": "string", "text": "string", "int": "integer", "float": "number", "double": "number",
    "bool": "boolean", "list": "array", "tuple": "array", "dict": "object", "none": "null",
}  # fmt: skip
_ANY_TYPE = frozenset({"any", "mixed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """The optimizer wants no further edit in this step."""

    reason: str = ""


def read_action(call: ToolCall, parameters: Parameters) -> Edit | Terminate:
    """Read an untrusted tool call.

    Args:
        call: As the model wrote it.
        parameters: As edited so far; a revision may leave out what it does not change.

    Raises:
        InvalidEdit: It is no action, or lacks what the action needs. For the model.
    """
    action = _action(call.name)
    values = _read_values(call.arguments)
    if action == "terminate":
        return Terminate(reason=str(values.get("reason", ""))[:500])
    name = _name(values)
    if action == "remove_function":
        return RemoveFunction(name=name)
    known = parameters.function(name) if action == "revise_function" else None
    function = Function(
        name=name,
        description=_description(values, known),
        arguments=_arguments(values, known),
        packages=_packages(values.get("packages")),
        code=_code(values, known),
    )
    if action == "add_function":
        return AddFunction(function=function)
    return ReviseFunction(function=function)


def says_terminate(text: str) -> bool:
    """Say whether a reply without a call ends the step: TERMINATE alone in its last line."""
    lines = text.strip().splitlines()
    return bool(lines) and lines[-1].strip(" \t*`'\".!:()").upper() == "TERMINATE"


def _action(name: str) -> str:
    plain = name.strip().rpartition(".")[2].replace("-", "_").replace(" ", "_")
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", plain).lower()
    if snake not in ACTIONS:
        raise InvalidEdit(f"There is no action {name[:80]!r}. The actions are: {_list(ACTIONS)}.")
    return snake


def _read_values(text: str) -> Mapping[str, Any]:
    if len(text) > CALL_CHARACTERS:
        raise InvalidEdit(
            f"The call has {len(text)} characters; at most {CALL_CHARACTERS} may be. Write less."
        )
    values = _read_json(text, "The call's arguments") if text.strip() else {}
    if isinstance(values, dict) and isinstance(values.get("function"), dict):
        values = values["function"]
    if not isinstance(values, dict):
        raise InvalidEdit(
            f"The call's arguments must be a JSON object, not {type(values).__name__}."
        )
    return values


def _read_json(text: str, what: str) -> Any:
    """Read JSON that may be fenced, encoded twice, or spelt as a Python literal.

    Raises:
        InvalidEdit: It is none of these. `what` begins the message.
    """
    for _ in range(3):
        if (fenced := _FENCE.fullmatch(text)) is not None:
            text = fenced["body"]
        value = _read_json_once(text, what)
        if not isinstance(value, str) or not value.strip():
            return _whole_text(value, what)
        text = value
    raise InvalidEdit(f"{what}: a text within a text within a text. Send a JSON object.")


def _read_json_once(text: str, what: str) -> Any:
    try:
        return json.loads(text, strict=False)  # line breaks within texts: what models write
    except RecursionError:
        raise InvalidEdit(f"{what}: nested too deep.") from None
    except ValueError as error:
        problem = error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in the model's texts
            return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise InvalidEdit(f"{what}: no valid JSON: {problem}. Send a complete object.") from None


def _whole_text(value: Any, what: str) -> Any:
    """Return the value with lone surrogates, which no wire carries, replaced."""
    try:
        text = canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        raise InvalidEdit(f"{what}: holds a value that JSON has no form for.") from None
    try:
        text.encode()
    except UnicodeEncodeError:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return json.loads(whole)
    return value


def _name(values: Mapping[str, Any]) -> str:
    name = values.get("name", values.get("function_name"))
    if not isinstance(name, str) or not name.strip():
        raise InvalidEdit("name is missing: give the function's name.")
    return name.strip().removesuffix("()")


def _description(values: Mapping[str, Any], known: Function | None) -> str:
    description = values.get("description")
    if description is None:
        return known.description if known else ""  # the docstring may say it
    if not isinstance(description, str):
        raise InvalidEdit(f"description must be a text, not {type(description).__name__}.")
    return description.strip()


def _packages(value: Any) -> tuple[str, ...]:
    """Return import names. Versions and `pip install` are dropped: nothing is ever installed."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = re.split(r"[,;\s]+", value.strip().strip("[]"))
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidEdit("packages must be a list of package names; empty if there are none.")
    names = {re.split(r"[=<>~!\[ ]", item.strip(" \"'"))[0] for item in value}
    return tuple(sorted(n for n in names if n.lower() not in _NO_PACKAGES | {"pip", "install"}))


def _code(values: Mapping[str, Any], known: Function | None) -> str:
    code = values.get("code")
    if code is None and known is not None:
        return known.code
    if isinstance(code, list) and all(isinstance(line, str) for line in code):
        code = "\n".join(line.rstrip("\n") for line in code)
    if not isinstance(code, str) or not code.strip():
        raise InvalidEdit("code is missing: give the complete Python source as a text.")
    if (fenced := _FENCE.fullmatch(code)) is not None:
        code = fenced["body"]
    code = code.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if "\n" not in code and "\\n" in code:
        code = _unescaped(code)
    return textwrap.dedent(code).rstrip() + "\n"


def _unescaped(code: str) -> str:
    """Undo one escaping too many, if the code parses only without it."""
    plain = code.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
    try:
        parse_code(code)
    except InvalidEdit:
        try:
            parse_code(plain)
        except InvalidEdit:
            return code
        return plain
    return code


# -- the schema ---------------------------------------------------------------------------


def _arguments(values: Mapping[str, Any], known: Function | None) -> Mapping[str, Any]:
    raw = values.get("arguments", values.get("parameters"))
    if raw is None:
        return known.arguments if known else {"type": "object", "properties": {}}
    if isinstance(raw, str):
        if len(raw) > SCHEMA_CHARACTERS:
            raise InvalidEdit(
                f"arguments has {len(raw)} characters; at most {SCHEMA_CHARACTERS} may be."
            )
        raw = _read_json(raw, "arguments") if raw.strip() else {}
    if too_deep(raw, SCHEMA_DEPTH, SCHEMA_CHARACTERS):
        raise InvalidEdit(f"arguments: nested deeper than {SCHEMA_DEPTH} levels, or too large.")
    if isinstance(raw, list):
        raw = _from_list(raw)
    if not isinstance(raw, dict):
        raise InvalidEdit(f"arguments must be a JSON Schema object, not {type(raw).__name__}.")
    return _object_schema(raw)


def _from_list(raw: list[Any]) -> dict[str, Any]:
    """Read `[{"name": "x", "type": "integer"}, ...]`."""
    found: dict[str, Any] = {}
    for item in raw:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise InvalidEdit(
                "arguments must be a JSON Schema object with properties, not a list of "
                f"{type(item).__name__}."
            )
        found[item["name"]] = {key: value for key, value in item.items() if key != "name"}
    return found


def _object_schema(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of type object out of one, or out of a bare map of properties."""
    properties, rest = _split(raw)
    required = rest.pop("required", None)
    named = [name for name in required if isinstance(name, str)] if _is_list(required) else []
    marked = [
        name
        for name, schema in properties.items()
        if isinstance(schema, dict) and schema.get("required") is True
    ]
    rest.pop("$schema", None)  # one dialect is spoken here, whatever is named
    return {
        **rest,
        "type": "object",
        "properties": {name: _property(schema) for name, schema in properties.items()},
        "required": sorted({*named, *marked}),
    }


def _split(raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the properties, and the keywords beside them."""
    is_schema = "type" not in raw or raw["type"] in ("object", "dict")
    if is_schema and "properties" in raw and isinstance(raw["properties"], dict):
        return raw["properties"], {k: v for k, v in raw.items() if k != "properties"}
    # a bare map of properties, which the reference asked its models for, perhaps with some
    # keywords among them
    beside = {key: value for key, value in raw.items() if _is_keyword(key, value)}
    return {key: value for key, value in raw.items() if key not in beside}, beside


def _is_keyword(key: str, value: Any) -> bool:
    """Whether a key among bare properties is no argument's name: no schema has such a value."""
    match key:
        case "type":
            return value in ("object", "dict")
        case "required":
            return _is_list(value)
        case "additionalProperties":
            return isinstance(value, bool)
        case "$schema":
            return isinstance(value, str)
    return False


def _property(schema: Any) -> Any:
    """Return one argument's schema with Python's type names and other slips put right."""
    if isinstance(schema, str):
        return {"type": _type(schema)} if _type(schema) in TYPES else {"description": schema}
    if not isinstance(schema, dict):
        return schema  # refused by the schema check, with its place
    fixed = {key: value for key, value in schema.items() if key not in ("optional", "name")}
    if isinstance(fixed.get("required"), bool):
        del fixed["required"]
    kind = fixed.get("type")
    if isinstance(kind, str):
        if kind.lower() in _ANY_TYPE:
            del fixed["type"]
        else:
            fixed["type"] = _type(kind)
    if isinstance(fixed.get("properties"), dict):
        fixed["properties"] = {k: _property(v) for k, v in fixed["properties"].items()}
    if isinstance(fixed.get("items"), dict | str):
        fixed["items"] = _property(fixed["items"])
    elif fixed.get("type") == "array":
        fixed.setdefault("items", {})  # some providers refuse every request without it
    return fixed


def _type(name: str) -> str:
    plain = name.strip().lower()
    return _TYPES.get(plain, plain if plain in TYPES else name)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
