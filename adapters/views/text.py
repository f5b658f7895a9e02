"""How views spell numbers, and how they show text that a model or a file wrote."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tracking import Accuracy

# categories that could move a terminal's cursor or reverse the text: control, format, surrogate
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def printable(text: str, *, keep: str = "") -> str:
    """Return text that cannot steer a terminal: control characters become `�`.

    Args:
        text: Untrusted.
        keep: Characters to leave, such as a line feed.
    """
    return "".join(
        c if c in keep or unicodedata.category(c) not in _UNSAFE else "\ufffd" for c in text
    )


def one_line(text: str, width: int) -> str:
    """Return untrusted text on one line, cut at `width` characters with a mark."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: max(width - 1, 0)]}…"


def gist(text: str) -> str:
    """Return text without the frames of a traceback: what stands before it, and the exception."""
    before, mark, trace = text.rpartition("Traceback (most recent call last):")
    if not mark:
        return text
    rows = trace.splitlines()
    raised = next((at for at, row in enumerate(rows) if row.strip() and row[0] != " "), len(rows))
    before = before.partition("Traceback (most recent call last):")[0]  # of what it was raised from
    return " ".join([before.strip(), *rows[raised:]])


def percent(share: float | None) -> str:
    """Spell a share of one."""
    return "–" if share is None else f"{share * 100:.1f} %"


def points(effect: float) -> str:
    """Spell a difference of two shares, in percentage points."""
    return f"{effect * 100:+.1f} points"


def bounds(low: float | None, high: float | None) -> str:
    """Spell the interval of a score; nothing where there is none."""
    return "" if low is None or high is None else f"[{low * 100:.1f}, {high * 100:.1f}]"


def estimate(score: float | None, low: float | None, high: float | None) -> str:
    """Spell a score with its interval."""
    return f"{percent(score)} {bounds(low, high)}".strip()


def accuracy(value: Accuracy | None) -> str:
    """Spell a score with its interval."""
    if value is None:
        return "–"
    return f"{percent(value.score)} [{value.low * 100:.1f}, {value.high * 100:.1f}]"


def usd(amount: float) -> str:
    """Spell money: two digits, more where it is little."""
    if amount == 0:
        return "0 USD"
    return f"{amount:,.2f} USD" if amount >= 1 else f"{amount:.3g} USD"


def duration(seconds: float) -> str:
    """Spell a time span."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"


def plural(number: int, noun: str) -> str:
    """Spell a count."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
