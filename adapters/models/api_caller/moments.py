"""Days and times as people say them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

YEAR = 2023  # the dialogues' own
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = re.compile(
    rf"(?P<iso>\b\d{{4}}-\d{{1,2}}-\d{{1,2}})|\b(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    rf"\b(?:,?\s+(?P<year>\d{{4}}))?|\b(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month2>{_MONTH})"
    rf"(?:,?\s+(?P<year2>\d{{4}}))?|(?P<tomorrow>\btomorrow\b)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap]\.?m)?|\b(\d{1,2})\s*([ap]\.?m)\b", re.IGNORECASE
)
_TODAY = re.compile(r"today is\s+(\d{4})-(\d{1,2})-(\d{1,2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, its time if one was said, and the words."""

    day: date
    clock: str  # HH:MM:SS, or empty
    words: str


def moments(text: str) -> list[Moment]:
    """Return the moments that a text names, in order; a time belongs to the day nearest before."""
    days = [
        (match.start(), match.end(), day, match[0])
        for match in _DAY.finditer(text)
        if (day := _day(match, text)) is not None
    ]
    spans = [(start, end) for start, end, *_ in days]
    clocks = [
        (match.start(), _clock(match), match[0])
        for match in _TIME.finditer(text)
        if not any(start <= match.start() < end for start, end in spans)
    ]
    found: list[tuple[int, Moment]] = []
    used: set[int] = set()
    for place, clock, words in clocks:
        before = [number for number, day in enumerate(days) if day[0] < place]
        number = before[-1] if before else (0 if days else None)
        if number is None or not clock:
            continue
        used.add(number)
        found.append((place, Moment(days[number][2], clock, f"{days[number][3]} at {words}")))
    found += [
        (start, Moment(day, "", words))
        for number, (start, _, day, words) in enumerate(days)
        if number not in used
    ]
    return [moment for _, moment in sorted(found, key=lambda each: each[0])]


def _day(match: re.Match[str], text: str) -> date | None:
    try:
        if match["iso"]:
            year, month, day = (int(part) for part in match["iso"].split("-"))
            return date(year, month, day)
        if match["tomorrow"]:
            today = _TODAY.search(text)
            return date(*(int(part) for part in today.groups())) + timedelta(1) if today else None
        month_name = (match["month"] or match["month2"])[:3].lower()
        day = int(match["day"] or match["day2"])
        return date(int(match["year"] or match["year2"] or YEAR), _MONTHS[month_name], day)
    except ValueError:
        return None


def _clock(match: re.Match[str]) -> str:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    if hour is None:
        hour, minute, second, half = match[5], "0", "0", match[6]
    number = int(hour)
    if half:
        number = number % 12 + (12 if half[0] in "pP" else 0)
    return f"{number:02d}:{int(minute):02d}:{int(second or 0):02d}" if number < 24 else ""
