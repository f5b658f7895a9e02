"""What a model is fine-tuned on: trajectories with a mask, and preferences between two turns.

Source: AgentTuning (arXiv 2310.12823), section 2: the loss is on the agent's own turns only; its
mixture with general data is made where the set is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .canonical import content_hash
from .conversations import own_turns
from .episode import Episode
from .messages import Message, Request, Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningExample:
    """A conversation to learn from. Only the agent's turns in `completion` are learned."""

    task_id: str
    tools: tuple[Tool, ...]  # as the agent was offered them
    prompt: tuple[Message, ...]  # context: system prompt, demonstrations, the question
    completion: tuple[Message, ...]  # the agent's turns and what it was told; ends with a turn

    def to_json(self) -> dict[str, Any]:
        """Return the form that is hashed."""
        return {
            "tools": [tool.to_json() for tool in self.tools],
            "prompt": [message.to_json() for message in self.prompt],
            "completion": [message.to_json() for message in self.completion],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPair:
    """Two turns in the same place, one better. What came before both is context."""

    task_id: str
    tools: tuple[Tool, ...]
    prompt: tuple[Message, ...]
    chosen: Message
    rejected: Message

    def to_json(self) -> dict[str, Any]:
        """Return the form that is hashed."""
        return {
            "tools": [tool.to_json() for tool in self.tools],
            "prompt": [message.to_json() for message in self.prompt],
            "chosen": self.chosen.to_json(),
            "rejected": self.rejected.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class TuningSet:
    """All that one fine-tuning job learns from: examples, or pairs. Content-addressed."""

    examples: tuple[TuningExample, ...] = ()
    pairs: tuple[TuningPair, ...] = ()

    def __len__(self) -> int:
        return len(self.examples) + len(self.pairs)

    @cached_property
    def hash(self) -> str:
        """Content hash."""
        examples = [example.to_json() for example in self.examples]
        return content_hash([examples, [pair.to_json() for pair in self.pairs]])

    def token_bound(self) -> int:
        """Return an upper bound on the tokens of one pass over the set."""
        bound = sum(_bound(one.tools, (*one.prompt, *one.completion)) for one in self.examples)
        for pair in self.pairs:
            for turn in (pair.chosen, pair.rejected):
                bound += _bound(pair.tools, (*pair.prompt, turn))
        return bound


def example_of(episode: Episode, tools: Sequence[Tool]) -> TuningExample | None:
    """Return an episode as an example; None where there is nothing in it to learn.

    An episode that made a call which cannot be read teaches a model to write such calls: it is
    no example either.
    """
    completion = own_turns(episode)
    while completion and completion[-1].role != "assistant":  # told, but never answered
        completion = completion[:-1]
    if not completion or not all(_readable(turn) for turn in completion):
        return None
    return TuningExample(
        task_id=episode.job.task_id,
        tools=tuple(tools),
        prompt=_opening(episode),
        completion=completion,
    )


def pair_of(better: Episode, worse: Episode, tools: Sequence[Tool]) -> TuningPair | None:
    """Return where two episodes of one task part ways; None where no turn of the agent does.

    Only the two turns at that place are compared: the turns behind them answer to different
    histories, and between them stand results that the agent did not write.
    """
    opening = _opening(better)
    if [_shape(m) for m in opening] != [_shape(m) for m in _opening(worse)]:
        return None
    shared: list[Message] = []
    for one, other in zip(own_turns(better), own_turns(worse), strict=False):
        if _shape(one) == _shape(other):
            shared.append(one)
            continue
        if one.role != "assistant" or other.role != "assistant" or not _readable(one):
            return None  # equal calls with different results: chance, not skill
        return TuningPair(
            task_id=better.job.task_id,
            tools=tuple(tools),
            prompt=(*opening, *shared),
            chosen=one,
            rejected=other,
        )
    return None


def readable_arguments(text: str) -> dict[str, Any] | None:
    """Return a call's arguments; None unless they are one JSON object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _readable(message: Message) -> bool:
    return all(readable_arguments(call.arguments) is not None for call in message.tool_calls)


def _opening(episode: Episode) -> tuple[Message, ...]:
    turns = own_turns(episode)
    if not turns:
        return episode.messages
    opening = episode.messages[: len(episode.messages) - len(turns)]
    if not any(message.role == "user" for message in opening):  # no question was found in it
        opening = tuple(message for message in episode.messages if message.role == "system")
    return opening


def _shape(message: Message) -> tuple[Any, ...]:
    """Return what makes two messages the same: all but the ids of calls."""
    calls = tuple((call.name, call.arguments) for call in message.tool_calls)
    return (message.role, message.content, calls)


def _bound(tools: tuple[Tool, ...], messages: tuple[Message, ...]) -> int:
    return Request(model="", messages=messages, tools=tools).token_bound()
