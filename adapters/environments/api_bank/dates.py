"""How the APIs read dates and times. A wrong one is a `ValueError`, whose text is the answer."""

from __future__ import annotations

from datetime import datetime

DAY = "%Y-%m-%d"
MOMENT = "%Y-%m-%d %H:%M:%S"


def check(text: str, form: str = MOMENT) -> None:
    """Check the form of a date or time.

    Raises:
        ValueError: It has another form.
    """
    datetime.strptime(text, form)


def tidy(text: str, form: str) -> str:
    """Return a date or time in its usual spelling: spaces and short numbers are forgiven.

    Raises:
        ValueError: It is none of this form.
    """
    parts = text.strip().split("-")
    if len(parts) == 3:
        parts[0] = parts[0].zfill(4)
    return datetime.strptime("-".join(parts), form).strftime(form)


def loosely(text: str, form: str) -> str | None:
    """Return the usual spelling, or None where it is no date: how checkers compare."""
    try:
        return tidy(text, form)
    except ValueError:
        return None


def day_of_year(text: str) -> str:
    """Return month and day of a date, given with or without its year.

    Raises:
        ValueError: It is no date.
    """
    try:
        return tidy(text, DAY)[5:]
    except ValueError:
        return datetime.strptime(text.strip(), "%m-%d").strftime("%m-%d")
