r"""Reads numbers as people and models write them: `1,080`, `$1.50`, `-3/4`, `\frac12`, `5 %`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_DIGITS = 400  # longer numbers are nonsense, and huge exponents would fill the memory
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+"
_MINUS = str.maketrans({"−": "-", "–": "-", "—": "-", "﹣": "-", "－": "-"})  # typed by models
_FRACTION = re.compile(
    r"\\[dtc]?frac\s*(?:\{\s*(-?[\d.,]+)\s*\}|(\d))\s*(?:\{\s*([\d.,]+)\s*\}|(\d))"
)
_NOISE = re.compile(
    r"\\left|\\right|\\!|\\,|\\;|\\:|\\ |\\quad|~|\$|[€£¥]|\{,\}\s*(?=\d)|\\text\{\s*\}"
)
_READ = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<whole>{_NUMBER})(?P<exponent>[eE][-+]?\d{{1,3}})?"
    rf"(?:(?P<mixed>\s+)(?P<top>\d+)\s*/\s*(?P<bottom>\d+)|\s*/\s*(?P<under>{_NUMBER}))?"
    r"\s*(?P<percent>\\?%)?"
)


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value; `percent` tells whether a percent sign stood behind it."""

    value: Fraction
    percent: bool = False


def read_number(text: str) -> Number | None:
    """Return the number that the whole text is, or None."""
    text = clean(text)
    match = _READ.fullmatch(text)
    return _number(match) if match else None


def only_number(text: str) -> Number | None:
    """Return the number that a text is or holds, if it holds just one: "12 apples"."""
    whole = read_number(text)
    if whole is not None:
        return whole
    # "-" between digits joins ("3-5", "2024-01-02"), and letters before make a name ("x2")
    found = [m for m in _READ.finditer(clean(text)) if not _inside_word(m)]
    return _number(found[0]) if len(found) == 1 else None


def clean(text: str) -> str:
    r"""Return the text without LaTeX spacing and currency signs, with fractions as `a/b`."""
    # one space for many: each would be tried as the beginning of a number
    text = " ".join(text.split()).translate(_MINUS).strip("`*_")
    text = _NOISE.sub("", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d{3})", ",", text)
    text = _FRACTION.sub(_slashed, text)
    return text.strip().rstrip(".").strip()


def _slashed(match: re.Match[str]) -> str:
    top, bottom = match[1] or match[2], match[3] or match[4]
    before = match.string[: match.start()].rstrip()
    return f" {top}/{bottom}" if before[-1:].isdigit() else f"{top}/{bottom}"


def _inside_word(match: re.Match[str]) -> bool:
    start = match.start("sign") if match["sign"] else match.start("whole")
    before = match.string[:start][-1:]
    return before.isalnum() or before in {"_", "."}


def _number(match: re.Match[str]) -> Number | None:
    if match.end() - match.start() > _DIGITS:
        return None
    try:
        value = _exact(match["whole"] + (match["exponent"] or ""))
        if match["mixed"] is not None:
            value += Fraction(int(match["top"]), int(match["bottom"]))
        elif match["under"] is not None:
            value /= _exact(match["under"])
    except (ZeroDivisionError, ValueError):
        return None
    return Number(-value if match["sign"] == "-" else value, percent=match["percent"] is not None)


def _exact(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))
