"""A trajectory as a critic reads it: fenced, and cut to the model's window with marks.

The fence hangs on all that it separates, so that no text inside can hold it: what an agent, a
tool or the author of a task wrote can neither close its block nor open another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..episode import Episode
from ..errors import ConfigError
from ..optimizers.blocks import BYTES_PER_TOKEN, Block, fence_of, render
from ..optimizers.history import turns
from ..tasks import Task
from .rubric import closing

# bodies are cut to the longest of these at which everything fits
_CUTS = (1_000_000_000, 32_000, 16_000, 8_000, 4_000, 2_000, 1_000, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A user message for a critic."""

    text: str
    cut: bool  # whether anything is missing


def show_trajectory(task: Task, episode: Episode, prompt_tokens: int) -> Material:
    """Return one trajectory within so many tokens.

    Raises:
        ConfigError: Not even its shortest form fits.
    """
    head = [*_system(episode), Block("TASK", body=task.prompt)]
    return _material(head, [list(turns(episode))], [[_answer(episode)]], prompt_tokens)


def show_pair(task: Task, first: Episode, second: Episode, prompt_tokens: int) -> Material:
    """Return two trajectories of one task within so many tokens, each cut alike.

    Raises:
        ConfigError: Not even their shortest form fits.
    """
    told = [
        [Block(name), *turns(episode)] for name, episode in (("FIRST", first), ("SECOND", second))
    ]
    ends = [[_answer(episode)] for episode in (first, second)]
    return _material([Block("TASK", body=task.prompt)], told, ends, prompt_tokens)


def _material(
    head: Sequence[Block],
    told: Sequence[Sequence[Block]],
    ends: Sequence[Sequence[Block]],
    prompt_tokens: int,
) -> Material:
    """Return head, then each part of `told` with its end, within so many tokens."""
    room = prompt_tokens * BYTES_PER_TOKEN - _size([Block("END")]) - len(closing()) - 64
    whole = [*head, *_joined(told, ends)]
    blocks, cut = whole, False
    for characters in _CUTS:
        blocks = [block.cut(characters) for block in whole]
        cut = blocks != whole
        if _size(blocks) <= room:
            break
    else:
        blocks, cut = _ends_only(head, told, ends, room), True
    fence = fence_of(blocks)
    text = f"fence: {fence}\n{render([*blocks, Block('END')], fence)}{closing()}"
    return Material(text=text, cut=cut)


def _ends_only(
    head: Sequence[Block],
    told: Sequence[Sequence[Block]],
    ends: Sequence[Sequence[Block]],
    room: int,
) -> list[Block]:
    """Return what fits of the shortest form: the first and the last turns of each part."""

    def short(blocks: Sequence[Block]) -> list[Block]:
        return [block.cut(_CUTS[-1]) for block in blocks]

    fixed = _size(short(head)) + sum(_size(short(end)) for end in ends)
    share = (room - fixed) // len(told) - 64
    if share < 0:
        raise ConfigError(
            f"the critic's model leaves {max(room, 0) // BYTES_PER_TOKEN} tokens for a trajectory, "
            f"but the task and the answer alone need {fixed // BYTES_PER_TOKEN}. Set a smaller "
            "critic.reply_tokens, or a model with a larger context window",
            key="critic.model",
        )
    kept = [_outer(short(part), share) for part in told]
    return [*short(head), *_joined(kept, [short(end) for end in ends])]


def _outer(blocks: Sequence[Block], room: int) -> list[Block]:
    """Keep blocks from both ends inwards; say how many are left out between them."""
    front: list[Block] = []
    back: list[Block] = []
    waiting = list(blocks)
    while waiting:
        side = front if len(front) <= len(back) else back
        block = waiting[0 if side is front else -1]
        if block.size > room:
            break
        room -= block.size
        side.append(waiting.pop(0 if side is front else -1))
    left_out = [Block("LEFT_OUT", f"blocks={len(waiting)}")] if waiting else []
    return [*front, *left_out, *reversed(back)]


def _joined(told: Sequence[Sequence[Block]], ends: Sequence[Sequence[Block]]) -> Iterator[Block]:
    for part, end in zip(told, ends, strict=True):
        yield from part
        yield from end


def _system(episode: Episode) -> Iterator[Block]:
    if episode.messages and episode.messages[0].role == "system":
        yield Block("SYSTEM", body=episode.messages[0].content)


def _answer(episode: Episode) -> Block:
    if episode.answer is None:
        return Block("ANSWER", "none")
    return Block("ANSWER", body=episode.answer)


def _size(blocks: Sequence[Block]) -> int:
    return sum(block.size for block in blocks)
