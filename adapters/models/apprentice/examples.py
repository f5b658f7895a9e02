"""A question with its right answer, and which questions are alike."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .text import Question, read

_TARGET = re.compile(r"\s*[$€£]?(-?\d[\d,]*(?:\.(\d+))?)\s*[%a-z]*\s*", re.IGNORECASE)
_SAME_WORDING = 0.7  # share of the shorter one's telling words from which two have one wording
_TELLING = 0.3  # share of a word's questions that must be of one kind


@dataclass(frozen=True, slots=True)
class Example:
    """One task as the history shows it."""

    task_id: str
    text: str
    score: float
    target: str  # as the prompt gives it; empty where it does not
    used: tuple[str, ...] = ()  # functions that the agent called

    @property
    def question(self) -> Question:
        """The text, read."""
        return read(self.text)

    @property
    def words(self) -> frozenset[str]:
        """The words that say what it is about."""
        return self.question.content

    @property
    def number(self) -> float | None:
        """The right answer, or None where it is not shown or is no number."""
        found = _TARGET.fullmatch(self.target[:60])
        return float(found[1].replace(",", "")) if found else None

    @property
    def decimals(self) -> int:
        """How many decimals the right answer is given to."""
        found = _TARGET.fullmatch(self.target[:60])
        return len(found[2] or "") if found else 0


class Likeness:
    """How alike questions are: shared words, rare ones weighing more."""

    def __init__(self, examples: Iterable[Example]) -> None:
        known = list(examples)
        counts: dict[str, int] = {}
        for example in known:
            for word in example.words:
                counts[word] = counts.get(word, 0) + 1
        self._weights = {w: math.log(1 + len(known) / n) for w, n in counts.items()}
        self._totals = {example.text: self._weigh(example.words) for example in known}

    def between(self, a: Example, b: Example) -> float:
        """Return 1 for the same words and 0 for none in common. Both must be known."""
        both = self._weigh(a.words & b.words)
        either = self._totals[a.text] + self._totals[b.text] - both
        return both / either if either else 0.0

    def _weigh(self, words: frozenset[str]) -> float:
        # fsum: a set has no order, and the sum must not depend on one
        return math.fsum(map(self._weights.__getitem__, words))

    def nearest(self, example: Example, others: Iterable[Example], least: float) -> list[Example]:
        """Return the others by falling likeness, as far as it is at least `least`."""
        scored = [(self.between(example, other), other) for other in others if other != example]
        near = [pair for pair in scored if pair[0] >= least]
        return [other for _, other in sorted(near, key=lambda pair: (-pair[0], pair[1].task_id))]


def telling_words(examples: Sequence[Example], everything: Iterable[Example]) -> frozenset[str]:
    """Return the words that tell some examples from all others.

    Words of a sentence that stands in questions of every kind, such as a distractor, do not.
    """
    own = {word for example in examples for word in example.words}
    inside = Counter(word for example in examples for word in example.words)
    total = Counter(word for example in everything for word in example.words if word in own)
    return frozenset(w for w in own if inside[w] >= _TELLING * max(total[w], inside[w]))


def split_by_wording(questions: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Group questions, given by their telling words, into wordings: the words that all share."""
    wordings: list[frozenset[str]] = []
    # the shortest first: they hold the wording with the least around it
    for own in sorted(questions, key=lambda words: (len(words), sorted(words))):
        for at, words in enumerate(wordings):
            if len(own & words) >= _SAME_WORDING * min(len(own), len(words)):
                wordings[at] = own & words
                break
        else:
            wordings.append(own)
    return wordings
