"""Which texts are most like another: by their words, without a model.

Source: BM25 (Robertson & Zaragoza 2009, section 3.2) with k1 = 1.2, b = 0.75: no chance in it, and
good enough to put like to like.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")
_K1, _B = 1.2, 0.75


class WordIndex:
    """Word counts of texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(_words(text)) for text in texts]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean_length = max(sum(self._lengths) / max(len(self._lengths), 1), 1.0)
        holding = Counter(word for counts in self._counts for word in counts)
        total = len(texts)
        self._weights = {
            word: math.log(1 + (total - many + 0.5) / (many + 0.5))
            for word, many in holding.items()
        }

    def ranked(self, query: str) -> list[int]:
        """Return the places of all texts, the most similar first; ties go to the earlier one."""
        # in a fixed order: sums of floats hang on theirs
        words = sorted(word for word in set(_words(query)) if word in self._weights)
        scores = [self._score(place, words) for place in range(len(self._counts))]
        return sorted(range(len(scores)), key=lambda place: (-scores[place], place))

    def _score(self, place: int, words: Sequence[str]) -> float:
        counts = self._counts[place]
        norm = _K1 * (1 - _B + _B * self._lengths[place] / self._mean_length)
        return sum(
            self._weights[word] * counts[word] * (_K1 + 1) / (counts[word] + norm)
            for word in words
            if word in counts
        )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
