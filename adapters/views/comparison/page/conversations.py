"""What the explorer reads: every conversation, packed in pieces that are unpacked when opened."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .....engine.episode import Episode
from .....engine.workspace import cut
from .....storage.outcomes import OutcomeReader
from ...text import printable
from ..story import ComparisonStory

TASKS_A_PIECE = 16
MESSAGE_CHARACTERS = 6_000  # of one message; more is cut in the middle, and says so
MOST_BYTES = 96_000_000  # of all pieces: what a browser opens without trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """The data of the explorer, as texts that can stand in a page."""

    index: str  # packed JSON: arms, tasks, scores, categories
    pieces: tuple[str, ...]  # packed JSON: the conversations of some tasks each
    left_out: int  # tasks whose conversations found no room


def explorer(story: ComparisonStory, path: Path) -> Explorer:
    """Read all conversations of a comparison.

    Raises:
        StoreError: The database cannot be read.
    """
    tasks = sorted({task for scores in story.scores.values() for task in scores})
    pieces: list[str] = []
    size = 0
    with OutcomeReader(path) as reader:
        for start in range(0, len(tasks), TASKS_A_PIECE):
            if size > MOST_BYTES:
                break
            some = tasks[start : start + TASKS_A_PIECE]
            pieces.append(_packed([_task(story, reader, task) for task in some]))
            size += len(pieces[-1])
    return Explorer(
        index=_packed(_index(story, tasks)),
        pieces=tuple(pieces),
        left_out=max(0, len(tasks) - len(pieces) * TASKS_A_PIECE),
    )


def _index(story: ComparisonStory, tasks: list[str]) -> dict[str, Any]:
    kinds = sorted(set(story.categories.values()))
    return {
        "arms": [{"name": _clean(arm.name), "state": arm.state} for arm in story.arms],
        "tasks": [_clean(task) for task in tasks],
        "kinds": [_clean(kind) for kind in kinds],
        "kind": [kinds.index(story.categories[task]) for task in tasks] if kinds else [],
        # arm -> task -> the score of each repeat
        "scores": [
            [story.scores.get(arm.name, {}).get(task, [None] * story.repeats) for task in tasks]
            for arm in story.arms
        ],
        "piece": TASKS_A_PIECE,
    }


def _task(story: ComparisonStory, reader: OutcomeReader, task: str) -> dict[str, Any]:
    evaluations = [arm.evaluation for arm in story.arms]
    found = reader.episodes(story.run.run_id, task, evaluations)
    by_arm: list[list[Any]] = [[None] * story.repeats for _ in evaluations]
    for episode in found:
        if episode.job.repeat < story.repeats:
            place = evaluations.index(episode.job.evaluation)
            by_arm[place][episode.job.repeat] = _episode(episode)
    return {"prompt": _clean(found[0].prompt) if found else "", "arms": by_arm}


def _episode(episode: Episode) -> dict[str, Any]:
    return {
        "score": episode.score.value if episode.score else None,
        "why": _clean(episode.score.comment if episode.score else ""),
        "failure": _clean(
            f"{episode.failure.kind}: {episode.failure.message}" if episode.failure else ""
        ),
        "answer": None if episode.answer is None else _clean(episode.answer),
        "end": _clean(episode.end),
        "tokens": episode.usage.tokens,
        "usd": episode.usage.cost_usd,
        "seconds": episode.elapsed_s,
        "messages": list(_messages(episode)),
    }


def _messages(episode: Episode) -> Iterator[list[Any]]:
    """Return [role, text, [[tool, arguments], ...]] of each message after the prompt."""
    for message in episode.messages:
        if message.role == "user" and message.content == episode.prompt:
            continue  # stands above both columns
        calls = [[_clean(call.name), _clean(call.arguments)] for call in message.tool_calls]
        yield [message.role, _clean(message.content), calls]


def _clean(text: str) -> str:
    return printable(cut(text, MESSAGE_CHARACTERS), keep="\n\t")


def _packed(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()
