"""Code as models paste it: fenced, or with the prompts and results of a session around it."""

from __future__ import annotations

import re

_FENCES = ("```", "~~~")
_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.|In \[\d+\]:|\.\.\.:)(?: |$)")
_OPENING = re.compile(r"[ \t]*(?:>>>|In \[\d+\]:)(?: |$)")


def bare_code(text: str) -> str:
    """Return the code alone: without a fence around it, without a session's prompts and results.

    Code that is neither comes back unchanged, to the byte.
    """
    lines = _unfenced(text)
    first = next((line for line in lines if line.strip()), "")
    if not _OPENING.match(first):
        return "\n".join(lines)
    # a session: what has no prompt is what the interpreter answered
    kept = [line[found.end() :] for line in lines if (found := _PROMPT.match(line))]
    return "\n".join(kept)


def _unfenced(text: str) -> list[str]:
    lines = text.split("\n")
    if not text.lstrip().startswith(_FENCES):
        return lines
    fenced = text.strip().split("\n")
    closed = len(fenced) > 1 and fenced[-1].strip() in _FENCES
    return fenced[1:-1] if closed else fenced[1:]
