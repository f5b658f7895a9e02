"""Reads the function optimizer's prompt: tasks, functions, what was rejected, list B.

The form is described in `engine/optimizers/prompts/functions.txt`. Blocks that are unknown or
missing are passed over: a shorter prompt teaches less, it breaks nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....engine.messages import Message
from .examples import Example
from .functions import Known
from .text import MAX_CHARS

_FENCE = re.compile(r"^fence: (\S+)$", re.MULTILINE)
_DETAIL = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")


Functions = dict[str, Known]


@dataclass(slots=True)
class History:
    """What the prompt tells."""

    examples: list[Example] = field(default_factory=list)
    before: Functions = field(default_factory=dict)  # list A
    now: Functions = field(default_factory=dict)  # list B
    rejected: list[Functions] = field(default_factory=list)  # what each rejected set had anew
    refused: Functions = field(default_factory=dict)  # sent back in this dialogue
    limit: int = 1  # actions wanted in this reply


@dataclass(frozen=True, slots=True)
class _Block:
    word: str
    details: Mapping[str, str]
    body: str


def read_history(messages: Sequence[Message]) -> History:
    """Read the whole dialogue of one action."""
    history = History()
    for message in messages:
        if message.role == "user" and _FENCE.search(message.content):
            _read_blocks(list(_blocks(message.content)), history)
        for call in message.tool_calls:
            # it was answered instead of applied: else this dialogue would have ended
            known = from_call(_json_object(call.arguments))
            history.refused[known.name] = known
    return history


def from_call(arguments: Mapping[str, Any]) -> Known:
    """Return the function that an action is about."""
    schema = arguments.get("arguments")
    return Known(
        name=str(arguments.get("name", "")),
        code=str(arguments.get("code", "")).strip(),
        description=str(arguments.get("description", "")),
        arguments=schema if isinstance(schema, dict) else {},
    )


def _blocks(text: str) -> Iterator[_Block]:
    found = _FENCE.search(text)
    assert found is not None
    fence = found[1]
    for part in text[found.end() :].split(f"\n{fence} ")[1:]:
        heading, _, body = part.partition("\n")
        word, _, details = heading.partition(" ")
        yield _Block(word, dict(_DETAIL.findall(details)), body.rstrip("\n"))


def _read_blocks(blocks: Sequence[_Block], history: History) -> None:
    section: Functions = history.before
    known: Known | None = None
    for at, block in enumerate(blocks):
        name = block.details.get("name", "")
        match block.word:
            case "TASK":
                history.examples.append(_example(block, blocks[at + 1 :]))
            case "LIST_A":
                section = history.before
            case "SET":
                section = {}
                history.rejected.append(section)
            case "LIST_B":
                section = history.now
            case "UNCHANGED" if name in history.before:
                section[name] = history.before[name]
            case "FUNCTION":
                known = section[name] = Known(name)
            case "DESCRIPTION" | "ARGUMENTS" | "CODE" if known is not None:
                _fill(known, block)
            case "ACTION" if block.details.get("next") == "all":  # there is no list B then
                history.now = dict(history.before)
                history.limit = int(_number(block.details.get("limit", "1")))


def _fill(known: Known, block: _Block) -> None:
    if block.word == "DESCRIPTION":
        known.description = block.body
    elif block.word == "CODE":
        known.code = block.body.strip()
    else:
        known.arguments = _json_object(block.body)


def _example(task: _Block, following: Sequence[_Block]) -> Example:
    parts: dict[str, str] = {}
    used: list[str] = []
    for block in following:
        if block.word in ("TASK", "TABLE", "LIST_A", "LIST_B"):
            break
        if block.word == "CALL":
            used.append(block.details.get("name", ""))
        elif block.word in ("QUESTION", "EXPECTED", "ANSWER"):
            parts.setdefault(block.word, block.body)
    score = _number(task.details.get("score", ""))
    confirmed = parts.get("ANSWER", "") if score >= 1 else ""  # a full score shows it is right
    return Example(
        task_id=task.details.get("id", ""),
        text=parts.get("QUESTION", "")[:MAX_CHARS],
        score=score,
        target=(parts.get("EXPECTED") or confirmed).strip(),
        used=tuple(dict.fromkeys(used)),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
