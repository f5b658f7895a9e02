"""One spelling for every JSON value, so that equal content has equal bytes and hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

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


def content_hash(value: Any) -> str:
    """Return 20 hexadecimal digits (80 bits) of the SHA-256 of the canonical spelling.

    Lone surrogates, which models do write, are hashed by their code points.
    """
    data = canonical_json(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:20]
