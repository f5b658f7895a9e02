"""What comes out of the sandbox, read as the untrusted input that it is."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ...engine.errors import InvalidReply

_DEEPEST = 64
_ERROR_CHARACTERS = 8_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read_message(data: bytes) -> dict[str, Any]:
    """Read one message of a process in the sandbox.

    Raises:
        InvalidReply: Not UTF-8, not JSON, no object, or with what JSON has no place for: NaN,
            infinities, a key twice, nesting without end.
    """
    try:
        message = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidReply(f"the reply is no strict JSON: {error}") from error
    if not isinstance(message, dict):
        raise InvalidReply("the reply is no object")
    return message


def clean(value: Any, depth: int = 0) -> Any:
    """Return a JSON value with lone surrogates, which no database takes, replaced.

    Raises:
        InvalidReply: Nested too deep.
    """
    if depth > _DEEPEST:
        raise InvalidReply(f"the reply is nested deeper than {_DEEPEST}")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): clean(item, depth + 1) for key, item in value.items()}
    return value


def clean_text(text: str) -> str:
    """Return text without lone surrogates."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def read_answer(answer: Any) -> tuple[str, Any, str]:
    """Return outcome, value and error of a finished request.

    Raises:
        InvalidReply: Not an answer in the agreed form.
    """
    if not isinstance(answer, dict):
        raise InvalidReply("the answer is no object")
    outcome, error = answer.get("outcome"), answer.get("error", "")
    if outcome not in ("value", "exception", "refused") or not isinstance(error, str):
        raise InvalidReply("the answer has no known outcome")
    return outcome, clean(answer.get("value")), clean_text(error[:_ERROR_CHARACTERS])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number
