"""Reads a critic's reply, which is untrusted: one verdict in the agreed form, or why not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InvalidReply
from ..messages import Reply
from .rubric import FULL_MARK

REASON_CHARACTERS = 2_000
_OBJECTS = 50  # of one reply that are looked at; bounds the work on nonsense
_TOLERANCE = 0.5  # marks by which the whole may leave the range of its parts: models round

Better = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One judgement of one trajectory."""

    score: float  # in [0, 1]
    dimensions: Mapping[str, float]  # each in [0, 1]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One comparison of two trajectories, in one order."""

    better: Better
    reason: str


def read_vote(reply: Reply, names: Sequence[str]) -> Vote:
    """Read a judgement.

    Args:
        names: The dimensions that it must hold, and no others.

    Raises:
        InvalidReply: It is none. The message is for the model that wrote it.
    """
    data = _only(reply, "score")
    marks = data.get("dimensions")
    if not isinstance(marks, dict):
        raise InvalidReply('"dimensions" must be an object with a mark for each dimension.')
    missing = [name for name in names if name not in marks]
    unknown = sorted(set(marks) - set(names))
    if missing or unknown:
        raise InvalidReply(
            f'"dimensions" must hold exactly {", ".join(names)}; '
            f"missing: {', '.join(missing) or 'none'}, "
            f"unknown: {', '.join(unknown)[:200] or 'none'}."
        )
    dimensions = {name: _mark(marks[name], name) for name in names}
    score = _mark(data["score"], "score")
    low, high = min(dimensions.values()), max(dimensions.values())
    if not low - _TOLERANCE <= score <= high + _TOLERANCE:
        raise InvalidReply(
            f"It contradicts itself: the score is {score:g}, but the dimensions lie between "
            f"{low:g} and {high:g}."
        )
    return Vote(
        score=score / FULL_MARK,
        dimensions={name: mark / FULL_MARK for name, mark in dimensions.items()},
        reason=_reason(data),
    )


def read_comparison(reply: Reply) -> Comparison:
    """Read a comparison.

    Raises:
        InvalidReply: It is none. The message is for the model that wrote it.
    """
    data = _only(reply, "better")
    better = data["better"]
    if better not in ("first", "second", "tie"):
        raise InvalidReply(f'"better" must be "first", "second" or "tie", not {better!r:.80}.')
    return Comparison(better=better, reason=_reason(data))


def _only(reply: Reply, key: str) -> dict[str, Any]:
    """Return the one object of a reply that holds `key`; saying it twice is no contradiction."""
    if reply.finish == "length":
        raise InvalidReply("It was cut off at the length limit; be shorter.")
    found = [data for data in _objects(reply.message.content) if key in data]
    if not found:
        raise InvalidReply(f'It holds no JSON object with "{key}".')
    if any(data != found[0] for data in found[1:]):
        raise InvalidReply(f"It holds {len(found)} verdicts that contradict each other.")
    return found[0]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Find the outermost JSON objects in a text."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(_OBJECTS):
        if at < 0:
            return
        try:
            data, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        if isinstance(data, dict):
            yield data
        at = text.find("{", end)


def _mark(value: Any, name: str) -> float:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not 0 <= value <= FULL_MARK:  # NaN fails both comparisons
        raise InvalidReply(f'"{name}" must be a number from 0 to {FULL_MARK}, not {value!r:.80}.')
    return float(value)


def _reason(data: Mapping[str, Any]) -> str:
    reason = data.get("reason", "")
    return str(reason)[:REASON_CHARACTERS] if isinstance(reason, str | int | float) else ""
