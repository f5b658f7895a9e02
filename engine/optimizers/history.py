"""What the optimizer's model reads of the episodes: conversations in the order of their use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..conversations import own_turns
from ..episode import Episode
from ..optimizer import Batch
from .blocks import Block

ID_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Conversation:
    """One episode as blocks."""

    blocks: tuple[Block, ...]
    longest: int = field(init=False)  # characters of a body
    whole_size: int = field(init=False)  # bytes when nothing is cut

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", max(len(block.body) for block in self.blocks))
        object.__setattr__(self, "whole_size", sum(block.size for block in self.blocks))

    def size(self, characters: int) -> int:
        """Bytes when every body is cut to so many characters."""
        if self.longest <= characters:
            return self.whole_size
        return sum(block.cut(characters).size for block in self.blocks)

    def cuts(self, characters: int) -> int:
        """How many bodies are longer than this."""
        return sum(len(block.body) > characters for block in self.blocks)

    def cut(self, characters: int) -> Iterator[Block]:
        """Return the blocks with every body cut to so many characters."""
        if self.longest <= characters:
            return iter(self.blocks)
        return (block.cut(characters) for block in self.blocks)


def conversations(batch: Batch) -> list[Conversation]:
    """Return all episodes, failures first (lowest score first), then successes by usefulness.

    A success is useful that called learned functions: it shows what must not be broken. Next
    come those that got over an error, then those that took more turns.
    """
    return [Conversation(tuple(_blocks(e, batch))) for e in sorted(batch.episodes, key=_order)]


def table(batch: Batch) -> Block:
    """Return every task with its score, mean over repeats; never shortened."""
    scores: dict[str, list[float]] = {}
    for episode in batch.episodes:
        if episode.score is not None:
            scores.setdefault(episode.job.task_id, []).append(episode.score.value)
    rows = [f"{show(sum(s) / len(s))} {_shown_id(i)}" for i, s in sorted(scores.items())]
    return Block("TABLE", f"tasks={len(rows)}", "\n".join(rows))


def heading(batch: Batch) -> Block:
    """Return the line that opens the history."""
    solved = sum(episode.solved for episode in batch.episodes)
    failed = len(batch.episodes) - solved
    return Block("HISTORY", f"tasks={len(batch.episodes)} solved={solved} not_solved={failed}")


def show(score: float) -> str:
    """Spell a score in [0, 1]."""
    return f"{round(score, 4):g}"


def _order(episode: Episode) -> tuple[float, ...] | tuple[float | str, ...]:
    score = episode.score.value if episode.score else 0.0
    learned = any(call.function_hash for call in episode.calls)
    recovered = any(call.outcome != "value" for call in episode.calls)
    return (
        episode.solved, score, not learned, not recovered, -len(episode.messages),
        episode.job.task_id, episode.job.repeat,
    )  # fmt: skip


def _blocks(episode: Episode, batch: Batch) -> Iterator[Block]:
    score = episode.score.value if episode.score else 0.0
    yield Block("TASK", f"score={show(score)} id={_shown_id(episode.job.task_id)}")
    task = batch.tasks.get(episode.job.task_id)
    if task is not None and task.target is not None:
        yield Block("EXPECTED", body=task.target)
    if batch.comments and episode.score and episode.score.comment:
        yield Block("COMMENT", body=episode.score.comment)
    yield Block("QUESTION", body=episode.prompt)
    yield from turns(episode)
    if episode.answer is None:
        yield Block("ANSWER", "none")
    else:
        yield Block("ANSWER", body=episode.answer)


def turns(episode: Episode) -> Iterator[Block]:
    """Return what was said and done after the question, one block each."""
    names: dict[str, str] = {}
    for message in own_turns(episode):
        match message.role:
            case "assistant":
                if message.content.strip():
                    yield Block("ASSISTANT", body=message.content)
                for call in message.tool_calls:
                    names[call.id] = call.name
                    yield Block("CALL", f"name={call.name[:ID_CHARACTERS]}", call.arguments)
            case "tool":
                name = names.get(message.tool_call_id or "", "")
                yield Block("RESULT", f"name={name[:ID_CHARACTERS]}", message.content)
            case "user":
                yield Block("USER", body=message.content)
            case "system":
                pass


def _shown_id(task_id: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in task_id[:ID_CHARACTERS])
    return " ".join(printable.split())
