"""JSON Schemas of function arguments, and the arguments checked against them.

Both are untrusted: a model wrote the schema, a model wrote the arguments. A schema is taken only
if checking it and checking against it are cheap: bounded size and depth, nothing that refers
elsewhere, no keyword whose check can explode. `pattern` is told to models but never evaluated:
Python's regular expressions have no time limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from .canonical import canonical_json
from .errors import InvalidReply

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

SCHEMA_CHARACTERS = 20_000
SCHEMA_DEPTH = 16  # of nested objects and lists; four of them are one level of arguments
VALUE_NODES = 100_000  # numbers, texts, lists, ... in the arguments of one call
VALUE_DEPTH = 64
TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_SHOWN_ERRORS = 3
_SHOWN_CHARACTERS = 200

# what they refer to may be remote, recursive, or cost exponential time
_FORBIDDEN = frozenset(
    {
        "$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor",
        "unevaluatedProperties", "unevaluatedItems",
    }
)  # fmt: skip
_UNCHECKED = ("pattern", "patternProperties", "uniqueItems")  # may cost exponential, square time


def schema_problem(schema: Any) -> str | None:
    """Say what is wrong with a schema of arguments, for the model that wrote it; None: nothing."""
    if not isinstance(schema, Mapping):
        return f"arguments must be a JSON Schema object, not {type(schema).__name__}"
    if (shape := _shape_problem(schema)) is not None:
        return shape
    if schema.get("type") != "object":
        return 'arguments must be a JSON Schema of "type": "object" with "properties"'
    if not isinstance(schema.get("properties", {}), Mapping):
        return 'arguments: "properties" must be an object of argument names and their schemas'
    return _meta_problem(canonical_json(schema))


def validate_arguments(schema: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check the arguments of a call against the function's schema.

    Raises:
        InvalidReply: They do not fit. The message says which ones and why, for the model.
    """
    if too_deep(values, VALUE_DEPTH, VALUE_NODES):
        raise InvalidReply(
            f"The arguments are too large: more than {VALUE_NODES} values, "
            f"or nested deeper than {VALUE_DEPTH}."
        )
    from referencing.exceptions import Unresolvable

    try:
        validator = _validator(canonical_json(schema))
        errors = list(islice(validator.iter_errors(dict(values)), _SHOWN_ERRORS + 1))
    except (ArithmeticError, RecursionError, TypeError, ValueError, Unresolvable) as error:
        raise InvalidReply(f"The arguments cannot be checked against the schema: {error}") from None
    if errors:
        told = [_tell(error, schema) for error in errors[:_SHOWN_ERRORS]]
        more = " There are more errors." if len(errors) > _SHOWN_ERRORS else ""
        raise InvalidReply(f"The arguments do not fit: {'; '.join(told)}.{more}")


def _shape_problem(schema: Mapping[str, Any]) -> str | None:
    if too_deep(schema, SCHEMA_DEPTH, SCHEMA_CHARACTERS):
        return f"arguments: the schema is nested deeper than {SCHEMA_DEPTH} levels or too large"
    try:
        size = len(canonical_json(schema))
    except (TypeError, ValueError):
        return "arguments: the schema is not JSON; NaN and infinities are not allowed"
    if size > SCHEMA_CHARACTERS:
        return f"arguments: the schema has {size} characters; at most {SCHEMA_CHARACTERS} may be"
    for keyword, value in _entries(schema):
        if keyword in _FORBIDDEN:
            return f'arguments: "{keyword}" is not allowed; write every schema out in its place'
        if keyword == "pattern" and isinstance(value, str) and not _compiles(value):
            return f"arguments: the pattern {_short(repr(value))} is no regular expression"
    return None


@lru_cache(maxsize=1024)
def _meta_problem(text: str) -> str | None:
    from jsonschema import Draft202012Validator, FormatChecker, SchemaError

    try:
        # no formats: a check would compile every pattern, which `_shape_problem` has done
        formats = FormatChecker(formats=())
        Draft202012Validator.check_schema(json.loads(text), format_checker=formats)
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path)) or "the schema"
        told = _short(error.message)
        if error.absolute_path and error.absolute_path[-1] == "type":
            told = f"{_short(repr(error.instance))} is no type; the types are {', '.join(TYPES)}"
        return f"arguments: no valid JSON Schema at {place}: {told}"
    except RecursionError:
        return "arguments: the schema is nested too deep"
    return None


@cache
def _validator_class() -> type[Validator]:
    from jsonschema import Draft202012Validator, validators

    extend: Any = validators.extend
    made: type[Validator] = extend(Draft202012Validator, dict.fromkeys(_UNCHECKED, _accept))
    return made


@lru_cache(maxsize=1024)
def _validator(text: str) -> Validator:
    from referencing import Registry

    # an empty registry: nothing that a schema names is ever fetched
    registry: Any = Registry()
    made: Validator = _validator_class()(json.loads(text), registry=registry)
    return made


def _accept(*_: Any) -> Iterable[ValidationError]:
    return ()


def _tell(error: ValidationError, schema: Mapping[str, Any]) -> str:
    if error.validator == "additionalProperties" and not error.absolute_path:
        known = ", ".join(schema.get("properties", {})) or "none"
        return f"{_short(error.message)} (the arguments are: {known})"
    place = error.json_path.removeprefix("$").removeprefix(".")
    return f"{place}: {_short(error.message)}" if place else _short(error.message)


def _short(text: str) -> str:
    # the message quotes the value, which may be as long as a model's reply
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    """Yield every key and value of every object inside; bounded by the checks made before."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key, item
            yield from _entries(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _entries(item)


def too_deep(value: Any, depth: int, nodes: int) -> bool:
    """Say whether a value is nested too deep or has too many parts, without recursion."""
    level = [value]
    seen = 0
    while level:
        seen += len(level)
        if depth < 0 or seen > nodes:
            return True
        depth -= 1
        level = [part for item in level for part in _parts(item)]
    return False


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
