"""How values are spelled in a column: JSON, packed JSON, and text that may hold anything."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

Guard = Callable[[str], str]

_SECRET_VARIABLE = re.compile(r"(_API_KEY|_TOKEN|_SECRET)$")
_SHORTEST_SECRET = 8  # characters: shorter values are words, and would blot out the text
_LARGEST = 2**53  # what every reader of numbers can hold; providers may claim anything


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


# made once: `json.dumps` makes one per call as soon as it is given an option
_UNICODE = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_mapping
)
_ASCII = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_mapping)


class Free(str):
    """Text that people, models or files wrote: guarded against secrets before it is stored."""

    __slots__ = ()


class Packed(Free):
    """Long text: compressed in the database."""

    __slots__ = ()


def spell(value: Any) -> str:
    """Return a JSON value as text that any file can hold.

    Lone surrogates, which models do write, have no UTF-8: a value with one is spelled in ASCII.

    Raises:
        TypeError: The value holds something that JSON has no form for.
    """
    text = _UNICODE.encode(value)
    return text if _encodable(text) else _ASCII.encode(value)


def spell_fast(value: Any) -> str:
    """Spell a value that holds neither NaN nor an infinity, at a fifth of the cost."""
    try:
        return orjson.dumps(value, default=_mapping, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # lone surrogates, numbers beyond 64 bits
        return spell(value)


def read(text: str) -> Any:
    """Return the value that `spell` spelled."""
    return json.loads(text)


def pack(text: str) -> bytes:
    """Compress. Level 1: four fifths of the gain of level 6 for a third of its time."""
    return zlib.compress(text.encode(), 1)


def unpack(data: bytes) -> str:
    """Undo `pack`."""
    return zlib.decompress(data).decode()


def column(text: str) -> str:
    """Return a text as it can stand in a column of its own, lone surrogates escaped."""
    if text.isascii() or _encodable(text):
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def text_hash(text: str) -> str:
    """Return the name of a content."""
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def whole(number: int) -> int:
    """Return a number that other people sent, held within what databases can add up."""
    whole = int(number)
    return whole if -_LARGEST <= whole <= _LARGEST else max(-_LARGEST, min(_LARGEST, whole))


def environment_guard(environ: Mapping[str, str] | None = None) -> Guard | None:
    """Return a function that blots out the values of *_API_KEY, *_TOKEN and *_SECRET variables.

    A last line of defence: what is handed to a store should hold no secret in the first place.
    Returns None if there is nothing to guard.
    """
    variables = os.environ if environ is None else environ
    values = {
        value
        for name, value in variables.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET
    }
    spelled = values | {json.dumps(value)[1:-1] for value in values}
    # longest first, so that a secret which contains another is masked whole
    secrets = sorted((text for text in spelled if _encodable(text)), key=lambda s: (-len(s), s))
    if not secrets:
        return None

    def guard(text: str) -> str:
        for secret in secrets:
            if secret in text:
                text = text.replace(secret, "[redacted]")
        return text

    return guard


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
