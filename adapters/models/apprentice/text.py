"""Reads a question as tokens: words, and the quantities between them.

This is all the apprentice understands of language: what a number, a date, a time of day, a list
of numbers and a table look like. What they mean it has to learn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["word", "number", "list", "date", "time", "row", "column", "table", "stop"]
Table = Mapping[str, Mapping[str, float]]

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TOKEN = re.compile(
    rf"""
      (?P<iso>\b\d{{4}}-\d\d-\d\d\b)
    | (?P<day>\b\d{{1,2}}\s(?:{"|".join(_MONTHS)})\s\d{{4}}\b)
    | (?P<time>\b\d{{1,2}}:\d\d\b)
    | (?P<number>(?<![\w.])-?\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?!\d)|(?<![\w.])-?\d+(?:\.\d+)?)
    | (?P<word>[^\W\d_]+(?:'[a-z]+)?|[%$€£°])
    | (?P<comma>,)
    | (?P<stop>[.?!:;\n])
    """,
    re.VERBOSE | re.IGNORECASE,
)
# words that say nothing of what a question is about
STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "do", "does", "for", "from", "has", "have"}
    | {"how", "if", "in", "into", "is", "it", "its", "of", "on", "or", "per", "that", "the"}
    | {"this", "to", "was", "what", "when", "which", "with"}
)
MAX_CHARS = 20_000  # a longer question is read up to here
_LIST_MIN = 3  # "3, 4 and 5" is a list, "3 and 4" are two numbers


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a quantity. `value` is JSON, as a tool's argument takes it."""

    kind: Kind
    text: str  # lower case
    value: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Question:
    """A text as the apprentice reads it."""

    text: str
    tokens: tuple[Token, ...]
    words: frozenset[str]
    content: frozenset[str]  # the words that say what it is about


def read(text: str) -> Question:
    """Read a question, up to `MAX_CHARS`."""
    return _read(text[:MAX_CHARS])


@lru_cache(maxsize=1024)  # only saves time: an agent reads a question at every turn
def _read(text: str) -> Question:
    table, rest = _split_table(text)
    tokens = _join_lists(list(_scan(rest)))
    if table:
        tokens = [*_mark_names(tokens, table), Token("stop", "."), Token("table", "table", table)]
    words = frozenset(t.text for t in tokens if t.kind == "word")
    return Question(text, tuple(tokens), words, words - STOP_WORDS)


def _scan(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        raw, kind = match.group().lower(), match.lastgroup
        if kind in ("iso", "day"):
            yield _date(raw)
        elif kind == "time":
            yield Token("time", raw, raw)
        elif kind == "number":
            yield Token("number", raw, _number(raw))
        elif kind == "word":
            yield Token("word", raw)
        else:
            yield Token("stop", raw)


def _number(raw: str) -> int | float:
    plain = raw.replace(",", "")[:40]
    return float(plain) if "." in plain else int(plain)


def _date(raw: str) -> Token:
    try:
        if "-" in raw:
            return Token("date", raw, date.fromisoformat(raw).isoformat())
        day, month, year = raw.split()
        value = date(int(year), _MONTHS.index(month) + 1, int(day))
        return Token("date", raw, value.isoformat())
    except ValueError:  # 31 February
        return Token("word", "date")


def _join_lists(tokens: list[Token]) -> list[Token]:
    """Replace runs like `3, 4, 5 and 6` by one list; drop the other commas."""
    joined: list[Token] = []
    at = 0
    while at < len(tokens):
        end, values = at, []
        while end < len(tokens) and tokens[end].kind == "number":
            values.append(tokens[end].value)
            step = _separator(tokens, end + 1)
            if not step:
                end += 1
                break
            end += 1 + step
        if len(values) >= _LIST_MIN:
            joined.append(Token("list", "list", values))
            at = end
            continue
        if tokens[at].text != ",":
            joined.append(tokens[at])
        at += 1
    return joined


def _separator(tokens: list[Token], at: int) -> int:
    """Return how many tokens of `,` and `and` stand between two numbers at `at`."""
    for length in (1, 2):
        between = [token.text for token in tokens[at : at + length]]
        follows = tokens[at + length : at + length + 1]
        if between in ([","], ["and"], [",", "and"]) and follows and follows[0].kind == "number":
            return length
    return 0


def _split_table(text: str) -> tuple[Table | None, str]:
    """Take a table of numbers with a heading line, cells divided by `|`, out of the text."""
    lines = text.split("\n")
    inside = [line for line in lines if line.count("|") >= 1]
    rows = [
        [cell.strip().lower() for cell in line.strip().strip("|").split("|")] for line in inside
    ]
    rows = [row for row in rows if not set("".join(row)) <= set("-: ")]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return None, text
    try:
        body = {
            row[0]: {
                name: _number(cell.lstrip("$€£"))
                for name, cell in zip(rows[0][1:], row[1:], strict=True)
            }
            for row in rows[1:]
        }
    except ValueError:
        return None, text
    return body, "\n".join(line for line in lines if line not in inside)


def _mark_names(tokens: list[Token], table: Table) -> list[Token]:
    columns = {name for row in table.values() for name in row}
    marked: list[Token] = []
    for token in tokens:
        if token.kind == "word" and token.text in table:
            marked.append(Token("row", token.text, token.text))
        elif token.kind == "word" and token.text in columns:
            marked.append(Token("column", token.text, token.text))
        else:
            marked.append(token)
    return marked
