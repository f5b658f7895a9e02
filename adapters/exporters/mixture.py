"""Mixes the agent's own rows with general data, so that a model stays what it was elsewhere.

Source: AgentTuning (arXiv 2310.12823), section 2.3: a share of 0.2 of the agent's data beside 0.8
of general data kept the general abilities. There each batch is drawn by that share; here the file
holds it, in a seeded order, and whoever trains on it reads it through.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...engine.errors import ConfigError
from ...engine.messages import Message, ToolCall
from ...engine.tuning_sets import TuningExample

_ROLES = frozenset({"system", "user", "assistant", "tool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How much general data comes beside the agent's own."""

    path: Path  # JSONL, a row per line: {"messages": [...]} as OpenAI's chat form has it
    own_share: float = 0.2  # of all rows, in (0, 1): AgentTuning's
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.own_share < 1.0:
            raise ConfigError(f"{self.own_share:g} is not between 0 and 1", key="own_share")


def general_wanted(own: int, own_share: float) -> int:
    """Return how many general rows bring `own` rows to their share."""
    return round(own * (1.0 - own_share) / own_share)


def mixed_order(own: int, general: int, seed: int) -> list[int]:
    """Return the order of the mixed rows: own ones from 0, then the general ones."""
    order = list(range(own + general))
    random.Random(seed).shuffle(order)  # noqa: S311 - an order, not a secret
    return order


def general_examples(mixture: Mixture, own: int) -> Iterator[TuningExample]:
    """Draw the general rows that `own` rows need, by seed, without holding the file in memory.

    Raises:
        ConfigError: The file cannot be read, a drawn row is wrong, or there are too few.
    """
    wanted = general_wanted(own, mixture.own_share)
    try:
        with mixture.path.open("rb") as file:
            places = _places(file)
            if len(places) < wanted:
                least = own / (own + len(places)) if own else 1.0
                raise ConfigError(
                    f"{own} rows at a share of {mixture.own_share:g} need {wanted} general ones, "
                    f"there are {len(places)}: give more, or a share of at least {least:.2f}",
                    file=str(mixture.path),
                )
            drawn = random.Random(mixture.seed).sample(places, wanted)  # noqa: S311
            for number, place in drawn:
                file.seek(place)
                yield _read_row(file.readline(), f"{mixture.path}: line {number}")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(mixture.path)) from None


def _places(file: BinaryIO) -> list[tuple[int, int]]:
    """Return line number and offset of each line that holds something."""
    places, offset = [], 0
    for number, line in enumerate(file, start=1):
        if line.strip():
            places.append((number, offset))
        offset += len(line)
    return places


def _read_row(line: bytes, where: str) -> TuningExample:
    try:
        row: Any = json.loads(line)
        messages = tuple(_message(message) for message in row["messages"])
    except (ValueError, RecursionError):
        raise ConfigError("is not valid JSON", file=where) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f'is no row of OpenAI\'s chat form, {{"messages": [{{"role", "content"}}]}}: {error}',
            file=where,
        ) from None
    if not messages or messages[-1].role != "assistant":
        raise ConfigError("its last message is not the assistant's", file=where)
    asked = next((at for at, m in enumerate(messages) if m.role == "assistant"), 0)
    # every answer in it is an example: general data has no demonstrations
    return TuningExample(task_id="", tools=(), prompt=messages[:asked], completion=messages[asked:])


def _message(data: Mapping[str, Any]) -> Message:
    role = data["role"]
    if role not in _ROLES:
        raise TypeError(f"role {role!r}; allowed are {', '.join(sorted(_ROLES))}")
    content = data.get("content") or ""
    if not isinstance(content, str):
        raise TypeError("content is not text")
    calls = tuple(
        ToolCall(
            id=str(call.get("id", "")),
            name=call["function"]["name"],
            arguments=call["function"]["arguments"],
        )
        for call in data.get("tool_calls") or ()
    )
    return Message(
        role=role, content=content, tool_calls=calls, tool_call_id=data.get("tool_call_id")
    )
