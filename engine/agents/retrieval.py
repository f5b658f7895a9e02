"""Which demonstrations and functions an agent is shown for a task: the most similar that fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..messages import Tool
from ..optimizers.blocks import byte_size, tokens
from ..parameters import Demonstration, Parameters
from .similarity import WordIndex

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
    """The prompts of demonstrations, and how long each demonstration is."""

    def __init__(self, demonstrations: Sequence[Demonstration]) -> None:
        self.tokens = [demonstration_tokens(one) for one in demonstrations]
        self._words = WordIndex([one.prompt for one in demonstrations])

    def ranked(self, prompt: str) -> list[int]:
        """Return the places of all demonstrations, the most similar first."""
        return self._words.ranked(prompt)


def nearest_tools(
    tools: Sequence[Tool], parameters: Parameters, prompt: str, count: int | None
) -> tuple[Tool, ...]:
    """Leave of the learned functions among the tools only the `count` that suit a task best.

    Looked at are the words of name, description and arguments. Other tools stay; the order too.
    """
    learned = [tool for tool in tools if parameters.function(tool.name) is not None]
    if count is None or len(learned) <= count:
        return tuple(tools)
    texts = [
        " ".join([tool.name, tool.description, *tool.arguments.get("properties", {})])
        for tool in learned
    ]
    near = {learned[place].name for place in WordIndex(texts).ranked(prompt)[:count]}
    return tuple(
        tool for tool in tools if tool.name in near or parameters.function(tool.name) is None
    )


def demonstration_tokens(demonstration: Demonstration) -> int:
    """Return the estimated tokens of a demonstration in a conversation."""
    size = byte_size(demonstration.prompt)
    for message in demonstration.messages:
        size += 16 + byte_size(message.content)
        size += sum(byte_size(call.name) + byte_size(call.arguments) for call in message.tool_calls)
    return tokens(size)
