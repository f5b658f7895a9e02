"""Which of the learned demonstrations an agent is shown for a task: the most similar that fit.

Source: BM25 (Robertson & Zaragoza 2009, section 3.2) with k1 = 1.2, b = 0.75 over the words of the
prompts: no model, no chance, and good enough to put like to like.
"""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence

from ..optimizers.blocks import byte_size, tokens
from ..parameters import Demonstration, Parameters

_WORD = re.compile(r"[^\W_]+")
_K1, _B = 1.2, 0.75
_KEPT = 8  # indexes of parameters versions: an incumbent and its candidates


class Retriever:
    """Picks demonstrations within a token budget. Remembers an index per parameters version.

    Args:
        count: At most so many; 0: none.
        token_budget: Estimated tokens of all that are shown.
    """

    def __init__(self, count: int, token_budget: int) -> None:
        self._count = count
        self._token_budget = token_budget
        self._indexes: OrderedDict[str, _Index] = OrderedDict()

    def pick(self, parameters: Parameters, task_id: str, prompt: str) -> tuple[Demonstration, ...]:
        """Return the demonstrations for a task, the most similar last, next to the question.

        One of the same task is left out: shown its own solution, an agent proves nothing. Ties
        go to the earlier one. What does not fit is passed over for a shorter one.
        """
        if not parameters.demonstrations or self._count == 0:
            return ()
        index = self._index(parameters)
        chosen: list[Demonstration] = []
        room = self._token_budget
        for place in index.ranked(prompt):
            one = parameters.demonstrations[place]
            if len(chosen) == self._count:
                break
            if one.task_id != task_id and index.tokens[place] <= room:
                room -= index.tokens[place]
                chosen.append(one)
        return tuple(reversed(chosen))

    def _index(self, parameters: Parameters) -> _Index:
        index = self._indexes.get(parameters.version)
        if index is None:
            index = self._indexes[parameters.version] = _Index(parameters.demonstrations)
            if len(self._indexes) > _KEPT:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(parameters.version)
        return index


class _Index:
    """Word counts of the prompts of demonstrations."""

    def __init__(self, demonstrations: Sequence[Demonstration]) -> None:
        self.tokens = [demonstration_tokens(one) for one in demonstrations]
        self._counts = [Counter(_words(one.prompt)) for one in demonstrations]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean_length = max(sum(self._lengths) / max(len(self._lengths), 1), 1.0)
        holding = Counter(word for counts in self._counts for word in counts)
        total = len(demonstrations)
        self._weights = {
            word: math.log(1 + (total - many + 0.5) / (many + 0.5))
            for word, many in holding.items()
        }

    def ranked(self, prompt: str) -> list[int]:
        """Return the places of all demonstrations, the most similar first."""
        # in a fixed order: sums of floats hang on theirs
        words = sorted(word for word in set(_words(prompt)) if word in self._weights)
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


def demonstration_tokens(demonstration: Demonstration) -> int:
    """Return the estimated tokens of a demonstration in a conversation."""
    size = byte_size(demonstration.prompt)
    for message in demonstration.messages:
        size += 16 + byte_size(message.content)
        size += sum(byte_size(call.name) + byte_size(call.arguments) for call in message.tool_calls)
    return tokens(size)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
