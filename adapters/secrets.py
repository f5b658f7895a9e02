"""What counts as a secret, and how it is blotted out of text that people or files will see."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

MASK = "[redacted]"

_SECRET_NAME = re.compile(
    r"(api[-_]?key|secret|password|passwd|authorization|credential|private[-_]?key"
    r"|access[-_]?key|(?<![a-z])token(?![a-z]))",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(r"(_API_KEY|_TOKEN|_SECRET|_PASSWORD|_SECRET_KEY|_ACCESS_KEY)$")
# forms that providers give their keys; long enough not to hit words
_KEY_FORMS = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}"
    r"|AIza[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{12,}|gh[opsu]_[A-Za-z0-9]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+)"
    r"|(?i:\bbearer )[A-Za-z0-9._~+/=-]{12,}"
)
_SHORTEST = 8  # characters: shorter values of a variable are words, and would blot out the text


def looks_secret(name: str, value: Any) -> bool:
    """Whether a setting of this name and value is a key rather than a setting."""
    if isinstance(value, str) and _KEY_FORMS.search(value):
        return True
    return isinstance(value, str) and _SECRET_NAME.search(name) is not None


def redactor(environ: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return a function that masks secrets in a text.

    Args:
        environ: Values of its *_API_KEY, *_TOKEN, *_SECRET and *_PASSWORD variables are masked,
            as they are now, beside everything that has the form of a key. None: `os.environ`.
    """
    variables = os.environ if environ is None else environ
    values = {
        value
        for name, value in variables.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST
    }
    # longest first, so that a secret which contains another is masked whole
    known = [re.escape(value) for value in sorted(values, key=lambda v: (-len(v), v))]
    pattern = re.compile("|".join(known)) if known else None

    def redact(text: str) -> str:
        if pattern is not None:
            text = pattern.sub(MASK, text)
        return _KEY_FORMS.sub(MASK, text)

    return redact
