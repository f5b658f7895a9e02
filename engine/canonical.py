"""One spelling for every JSON value, so that equal content has equal bytes and hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson

# made once: `json.dumps` makes one per call as soon as it is given an option
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> str:
    """Spell a JSON value in the one way that is hashed and stored.

    Raises:
        ValueError: The value holds NaN or an infinity, or refers to itself.
        TypeError: The value holds something that JSON has no form for.
    """
    return _ENCODER.encode(value)


def quick_hash(value: Any) -> str:
    """Hash as `content_hash` does, at a fifth of the cost: for what is hashed at every call.

    The spelling differs from the canonical one in some numbers, and NaN is null; equal values
    have equal hashes all the same.
    """
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # lone surrogates, numbers beyond 64 bits
        return content_hash(value)
    return hashlib.sha256(data).hexdigest()[:20]


def content_hash(value: Any) -> str:
    """Return 20 hexadecimal digits (80 bits) of the SHA-256 of the canonical spelling.

    Lone surrogates, which models do write, are hashed by their code points.
    """
    data = canonical_json(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:20]
