"""Finding tools and documents by words, deterministic and without a model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WORD = re.compile(r"[a-z0-9]+(?:[-'][a-z0-9]+)*|[^\sa-z0-9]")
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_PLAIN = frozenset(
    ["a", "an", "and", "api", "by", "for", "from", "given", "includes", "is", "it", "its", "my",
     "of", "on", "or", "parameter", "please", "same", "such", "that", "the", "this", "to"]
)  # fmt: skip
_GROUPS = (3, 4, 5)  # letters
_K1, _B, _FLOOR = 1.5, 0.75, 0.25  # the usual constants of BM25


class ToolIndex:
    """Finds the tool that is nearest to some keywords.

    By the cosine of TF-IDF vectors over the letters of names, which count twice, and of
    descriptions: groups of three to five letters within a word, so that "calculate" is near
    "calculator". The official searcher embeds both with a neural sentence encoder
    (paraphrase-MiniLM-L3-v2), which would have to be downloaded: it finds synonyms that share no
    letters, this one does not.
    """

    def __init__(self, tools: Mapping[str, Mapping[str, Any]]) -> None:
        texts = {
            name: Counter(_letters(name) * 2 + _letters(tool["description"]))
            for name, tool in tools.items()
        }
        shared = Counter(term for terms in texts.values() for term in terms)
        self._rarity = {
            term: math.log((1 + len(texts)) / (1 + count)) + 1 for term, count in shared.items()
        }
        self._vectors = {name: self._vector(terms) for name, terms in sorted(texts.items())}

    def nearest(self, keywords: str) -> str | None:
        """Return the name of the nearest tool, the first by name of several; None: none is near."""
        wanted = self._vector(Counter(_letters(keywords)))
        nearness = {name: _cosine(wanted, vector) for name, vector in self._vectors.items()}
        best = max(nearness, key=lambda name: nearness[name], default=None)
        return best if best is not None and nearness[best] > 0 else None

    def _vector(self, terms: Counter[str]) -> dict[str, float]:
        # a term that no tool has weighs as the rarest: it takes nearness from all alike
        return {term: count * self._rarity.get(term, 1.0) for term, count in terms.items()}


def best_documents(database: Mapping[str, Any], keyword: str, count: int) -> list[Any]:
    """Return the documents that fit best, by BM25 as `rank_bm25.BM25Okapi` computes it."""
    documents: Sequence[Sequence[str]] = database["tokenized_documents"]
    query = _WORD.findall(keyword.lower())
    scores = _bm25(documents, query)
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return [database["raw_documents"][place] for place in order[:count]]


def _bm25(documents: Sequence[Sequence[str]], query: Iterable[str]) -> list[float]:
    counts = [Counter(document) for document in documents]
    mean = sum(map(len, documents)) / max(len(documents), 1)
    shared = Counter(term for document in counts for term in document)
    rarity = {
        term: math.log(len(documents) - holders + 0.5) - math.log(holders + 0.5)
        for term, holders in shared.items()
    }
    floor = _FLOOR * sum(rarity.values()) / max(len(rarity), 1)
    rarity = {term: value if value >= 0 else floor for term, value in rarity.items()}
    scores = [0.0] * len(documents)
    for term in query:
        for place, document in enumerate(counts):
            found = document[term]
            length = 1 - _B + _B * len(documents[place]) / mean
            scores[place] += rarity.get(term, 0.0) * found * (_K1 + 1) / (found + _K1 * length)
    return scores


def _letters(text: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", _CAPITAL.sub(" ", text).lower())
    bounded = [f" {word} " for word in words if word not in _PLAIN]
    return [
        word[place : place + size]
        for word in bounded
        for size in _GROUPS
        for place in range(len(word) - size + 1)
    ]


def _cosine(one: Mapping[str, float], two: Mapping[str, float]) -> float:
    product = sum(weight * two.get(term, 0.0) for term, weight in one.items())
    lengths = [math.sqrt(sum(weight**2 for weight in terms.values())) for terms in (one, two)]
    return product / (lengths[0] * lengths[1]) if all(lengths) else 0.0
