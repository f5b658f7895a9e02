"""The prompt of the function optimizer, within a budget.

What does not change within a step stands first, so that the provider's prompt cache serves every
action after the first. What is trimmed, in this order: the middle of long texts, the
conversations of the least useful successes, those of the last failures, the worst rejected sets.
Never trimmed: the table of all tasks, the current functions, the edits so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..canonical import canonical_json
from ..errors import ConfigError
from ..functions import Function
from ..optimizer import Batch, FailedAttempt, Situation
from ..parameters import Parameters
from .blocks import BYTES_PER_TOKEN, Block, fence_of, render, tokens
from .history import Conversation, conversations, heading, show, table
from .ledger import record_of

# texts are cut to the longest of these at which all conversations fit
_CUTS = (1_000_000_000, 32_000, 16_000, 8_000, 4_000, 2_000, 1_000)
_REJECTED_SHARE = 4  # the failure record takes at most one part in so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The part of the prompt that is the same for all actions of a step."""

    text: str
    fence: str
    messages_cut: int = 0
    episodes_left_out: int = 0  # conversations that are only in the table
    rejected_left_out: int = 0

    @property
    def trimmed(self) -> bool:
        """Whether anything is missing."""
        return bool(self.messages_cut or self.episodes_left_out or self.rejected_left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the code of a function may use."""

    packages: Sequence[str]
    frozen_tools: Sequence[str]

    def block(self) -> Block:
        """Return the rules as the model reads them."""
        packages = ", ".join(self.packages) or "none"
        names = ", ".join(self.frozen_tools) or "none"
        return Block(
            "RULES",
            body=f"packages beyond the standard library: {packages}\nnames in use: {names}",
        )


def make_prefix(situation: Situation, rules: Rules, prompt_tokens: int) -> Prefix:
    """Return the history, the table, list A and the failure record within so many tokens.

    Raises:
        ConfigError: Even without any conversation it does not fit.
    """
    batch = situation.batch
    size = prompt_tokens * BYTES_PER_TOKEN
    opening = [rules.block(), heading(batch)]
    middle = [table(batch), *_list_a(batch)]
    verdict = [Block("VERDICT", body=situation.last_verdict)] if situation.last_verdict else []
    fixed = sum(block.size for block in (*opening, *middle, *verdict)) + 64
    if fixed > size:
        raise ConfigError(
            f"the optimizer's prompt may have {prompt_tokens} tokens, but the table of "
            f"{len(batch.episodes)} tasks and the {len(batch.parameters.functions)} functions "
            f"alone need {tokens(fixed)}. Set a smaller training.batch_size, a larger "
            "optimizer.prompt_tokens, or a model with a larger context window",
            key="optimizer.prompt_tokens",
        )
    rejected, rejected_left_out = _rejected(situation, min((size - fixed), size // _REJECTED_SHARE))
    room = size - fixed - sum(block.size for block in rejected)
    told, messages_cut, left_out = _fit(conversations(batch), room)
    blocks = [*opening, *told, *middle, *rejected, *verdict]
    fence = fence_of(blocks)
    return Prefix(
        text=f"fence: {fence}\n{render(blocks, fence)}",
        fence=fence,
        messages_cut=messages_cut,
        episodes_left_out=left_out,
        rejected_left_out=rejected_left_out,
    )


def make_tail(
    before: Parameters,
    edited: Parameters,
    *,
    done: int,
    limit: int,
    progressive: bool,
    fence: str,
) -> str:
    """Return list B and which action is next; what changes from action to action.

    Without the progressive update (an ablation of the paper) there is no list B.
    """
    if not progressive:
        body = f"Take all your actions of this step now, as up to {limit} calls in one reply."
        return render([Block("ACTION", f"next=all limit={limit}", body)], fence)
    action = Block("ACTION", f"next={done + 1} limit={limit}", "Take one action.")
    return render([*_list_b(before, edited), action], fence)


def _fit(ordered: Sequence[Conversation], room: int) -> tuple[list[Block], int, int]:
    """Return the blocks that fit, how many bodies were cut, how many conversations left out."""
    for characters in _CUTS:
        if sum(conversation.size(characters) for conversation in ordered) <= room:
            break
    told: list[Block] = []
    cuts = kept = 0
    for conversation in ordered:  # in the order of use, so the least useful find no room
        size = conversation.size(characters)
        if size <= room:
            room -= size
            kept += 1
            cuts += conversation.cuts(characters)
            told.extend(conversation.cut(characters))
    return told, cuts, len(ordered) - kept


def _list_a(batch: Batch) -> Iterator[Block]:
    yield Block("LIST_A", f"functions={len(batch.parameters.functions)}")
    for function in batch.parameters.functions:
        yield from _function(function, f"{record_of(function, batch.episodes).told()} ")


def _list_b(before: Parameters, edited: Parameters) -> Iterator[Block]:
    yield Block("LIST_B", f"functions={len(edited.functions)}")
    for function in edited.functions:
        if function == before.function(function.name):
            yield Block("UNCHANGED", f"name={function.name}")
        else:
            yield from _function(function)


def _function(function: Function, record: str = "") -> Iterator[Block]:
    yield Block("FUNCTION", f"{record}name={function.name}")
    yield Block("DESCRIPTION", body=function.description)
    yield Block("ARGUMENTS", body=canonical_json(function.arguments))
    yield Block("PACKAGES", body="\n".join(function.packages))
    yield Block("CODE", body=function.code)


def _rejected(situation: Situation, room: int) -> tuple[list[Block], int]:
    """Return the failure record, ascending; where room is short, the best of it."""
    record = sorted(situation.failures, key=lambda attempt: (attempt.score, attempt.step))
    sets = [_rejected_set(attempt, situation.batch.parameters) for attempt in record]
    kept: list[list[Block]] = []
    for blocks in reversed(sets):
        size = sum(block.size for block in blocks)
        if size > room:
            break
        room -= size
        kept.insert(0, blocks)
    opening = [Block("REJECTED", f"sets={len(sets)}")] if sets else []
    return [*opening, *(block for blocks in kept for block in blocks)], len(sets) - len(kept)


def _rejected_set(attempt: FailedAttempt, current: Parameters) -> list[Block]:
    blocks = [Block("SET", f"step={attempt.step} score={show(attempt.score)}")]
    for function in attempt.parameters.functions:
        if function != current.function(function.name):
            blocks.extend(_function(function))
    kept = {function.name for function in attempt.parameters.functions}
    removed = [function.name for function in current.functions if function.name not in kept]
    return [*blocks, *(Block("REMOVED", f"name={name}") for name in removed)]
