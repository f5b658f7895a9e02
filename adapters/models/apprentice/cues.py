"""Where an argument stands in a question, as a phrase that a schema's description can hold.

A cue is `the 2nd number in "of _ km"`: of the numbers with the word "of" before and "km" behind,
the second. The phrase is all that tells the agent how to read an argument, so that people and
other models can read the same schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .text import STOP_WORDS, Kind, Question, Token

KIND_WORDS: Mapping[Kind, str] = {
    "number": "number",
    "list": "list of numbers",
    "date": "date",
    "time": "time of day",
    "row": "row name",
    "column": "column name",
    "table": "table",
}
_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th")
_CONTEXTS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 0))  # words before, words behind
_PHRASE = re.compile(
    r"the (?P<nth>\dst|\dnd|\drd|\dth) "
    rf"(?P<kind>{'|'.join(sorted(KIND_WORDS.values(), key=len, reverse=True))})"
    r'(?: in "(?P<left>[^"_]*)_(?P<right>[^"_]*)")?'
)


@dataclass(frozen=True, slots=True, order=True)
class Cue:
    """One way to find a quantity."""

    kind: Kind
    left: tuple[str, ...] = ()  # tokens right before it
    right: tuple[str, ...] = ()  # tokens right behind it
    nth: int = 0  # among those that fit, from 0

    def phrase(self) -> str:
        """Return the cue as text; `parse` reads it back."""
        text = f"the {_ORDINALS[self.nth]} {KIND_WORDS[self.kind]}"
        if self.left or self.right:
            text += f' in "{" ".join((*self.left, "_", *self.right))}"'
        return text

    def find(self, question: Question) -> Any | None:
        """Return the quantity's value, or None where the question has none at this place."""
        at = self.locate(question)
        return None if at is None else question.tokens[at].value

    def locate(self, question: Question) -> int | None:
        """Return the number of the token that `find` reads."""
        seen = 0
        for at, token in enumerate(question.tokens):
            if token.kind == self.kind and self._fits(question.tokens, at):
                if seen == self.nth:
                    return at
                seen += 1
        return None

    def _fits(self, tokens: tuple[Token, ...], at: int) -> bool:
        left = tuple(_shown(token) for token in tokens[max(0, at - len(self.left)) : at])
        right = tuple(_shown(token) for token in tokens[at + 1 : at + 1 + len(self.right)])
        return left == self.left and right == self.right


def parse(description: str) -> list[Cue]:
    """Read the cues out of a description, in order. None there: an empty list."""
    kinds = {words: kind for kind, words in KIND_WORDS.items()}
    return [
        Cue(
            kinds[match["kind"]],
            tuple((match["left"] or "").split()),
            tuple((match["right"] or "").split()),
            int(match["nth"][0]) - 1,
        )
        for match in _PHRASE.finditer(description)
        if match["nth"] in _ORDINALS
    ]


def cues_of(question: Question) -> dict[Cue, Any]:
    """Return every cue that finds something in a question, with what it finds."""
    found: dict[Cue, Any] = {}
    counts: dict[Cue, int] = {}
    for at, token in enumerate(question.tokens):
        if token.kind in ("word", "stop"):
            continue
        for cue in _around(question.tokens, at, token):
            nth = counts.get(cue, 0)
            counts[cue] = nth + 1
            if nth < len(_ORDINALS):
                found[Cue(cue.kind, cue.left, cue.right, nth)] = token.value
    return found


def _around(tokens: tuple[Token, ...], at: int, token: Token) -> Iterator[Cue]:
    for before, behind in _CONTEXTS:
        left, right = tokens[max(0, at - before) : at], tokens[at + 1 : at + 1 + behind]
        if len(left) < before or len(right) < behind:
            continue
        if all(neighbour.kind == "word" for neighbour in (*left, *right)):
            yield Cue(token.kind, tuple(map(_shown, left)), tuple(map(_shown, right)))


def words_around(question: Question, cues: Iterable[Cue]) -> frozenset[str]:
    """Return the words that say what a question is about, without idle sentences.

    A sentence is idle when it has quantities and the cues read none of them.
    """
    read = {cue.locate(question) for cue in cues}
    words: set[str] = set()
    sentence: list[int] = []
    for at, token in enumerate((*question.tokens, Token("stop", "."))):
        if token.kind != "stop":
            sentence.append(at)
            continue
        tokens = [question.tokens[i] for i in sentence]
        if read.intersection(sentence) or all(t.kind == "word" for t in tokens):
            words.update(t.text for t in tokens if t.kind == "word")
        sentence = []
    return frozenset(words & question.content)


def plainness(cue: Cue) -> tuple[int, int, int]:
    """Order cues that find the same: telling words around beat counting, one beats two."""
    around = (*cue.left, *cue.right)
    telling = [word for word in around if word not in STOP_WORDS]
    return (0 if telling else 1, cue.nth, abs(len(around) - 1) * 2 + (1 if cue.left else 0))


def _shown(token: Token) -> str:
    return token.text if token.kind == "word" else "#"  # no cue holds "#", so nothing fits it
