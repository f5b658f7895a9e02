"""Learns instructions: a model reads scores and reasons, and writes the system prompt's addition.

It takes either signal: with a critic, `feedback = "comment"` shows the critic's reasons. One
proposal a step; whether it helps is decided like any other, and what did not help is shown to the
model in the next step. The loop is the simplest of those that learn a prompt from feedback in
words (compare OPRO, arXiv 2309.03409, and Agent-Pro, arXiv 2402.17574, section 3.3, which searches
in depth; we do not).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..errors import ConfigError, InvalidReply, RequestRefused
from ..events import EditProposed
from ..messages import Message, Reply, Request
from ..optimizer import Batch, FailedAttempt, Proposal, Situation, State, Workbench
from ..parameters import SetInstructions
from ..workspace import cut
from .blocks import BYTES_PER_TOKEN, Block, byte_size, fence_of, render, tokens, whole
from .history import Conversation, conversations, heading, show, table

# bodies are cut to the longest of these at which all conversations fit
_CUTS = (1_000_000_000, 16_000, 4_000, 1_000)
_OVERHEAD_TOKENS = 200  # of chat templates
_REJECTED_SHOWN = 5  # the best of those that did no better
_ECHO_CHARACTERS = 2_000
_SMALLEST_SHARE = 0.1
_FOUND = re.compile(r"<instructions>(.*?)</instructions>", re.DOTALL)
_AGAIN = "That holds no instructions: {problem} Reply as you were told."


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionOptimizerSettings:
    """How the optimizer's model is asked."""

    model: str  # provider/model
    tries: int = 3  # replies until one holds instructions
    characters: int = 4_000  # the longest instructions
    prompt_tokens: int | None = None  # None: what the model's context window leaves
    reply_tokens: int = 4_096
    temperature: float | None = None
    prompt: str | None = None  # text that replaces the packaged one


class InstructionOptimizer:
    """Proposes new instructions. Remembers nothing between steps.

    Raises:
        ConfigError: A setting makes no sense.
    """

    def __init__(self, settings: InstructionOptimizerSettings) -> None:
        if min(settings.tries, settings.characters, settings.reply_tokens) < 1:
            raise ConfigError("tries, characters and reply_tokens must be at least 1",
                              key="optimizer")  # fmt: skip
        if settings.prompt is not None and not settings.prompt.strip():
            raise ConfigError("the prompt is empty", key="optimizer.prompt")
        self._settings = settings

    def init(self) -> State:
        """Return the empty state: all that this optimizer knows stands in the situation."""
        return {}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        """Ask until a reply holds instructions.

        Raises:
            ModelError, BudgetExhausted: A system failed; nothing is proposed.
            ConfigError: The prompt's fixed parts exceed its budget.
        """
        settings = self._settings
        objections: list[Message] = []
        share = 1.0
        for action in range(settings.tries):
            reply: Reply | None = None
            while reply is None:
                request = self._request(situation, workbench, objections, share)
                try:
                    reply = await workbench.complete(request)
                except RequestRefused as error:
                    if error.kind == "content_filter":
                        return Proposal(edits=(), state=state, note=f"refused: {error}")
                    if error.kind != "context_too_long" or share <= _SMALLEST_SHARE:
                        raise
                    share /= 2  # the estimate was too low for this text
            try:
                edit = SetInstructions(instructions=read_instructions(reply, settings.characters))
            except InvalidReply as error:
                await _publish(workbench, situation.step, action, None, str(error))
                said = whole(cut(reply.message.content.strip(), _ECHO_CHARACTERS)) or "(nothing)"
                objections = [
                    Message(role="assistant", content=said),
                    Message(role="user", content=_AGAIN.format(problem=error)),
                ]
                continue
            if edit.instructions == situation.batch.parameters.instructions:
                return Proposal(edits=(), state=state, note="no change would help")
            await _publish(workbench, situation.step, action, edit, "")
            return Proposal(edits=(edit,), state=state)
        return Proposal(
            edits=(), state=state, note=f"{settings.tries} replies in a row held no instructions"
        )

    def _request(
        self,
        situation: Situation,
        workbench: Workbench,
        objections: Sequence[Message],
        share: float,
    ) -> Request:
        settings = self._settings
        facts = workbench.facts()
        reply_tokens = min(
            settings.reply_tokens, facts.max_output_tokens, max(facts.context_tokens // 4, 1)
        )
        room = facts.context_tokens - reply_tokens
        if settings.prompt_tokens is not None:
            room = min(room, settings.prompt_tokens)
        system = (settings.prompt or packaged_prompt()).strip()
        used = sum(tokens(byte_size(text)) for text in (system, *(m.content for m in objections)))
        material = make_material(
            situation, int(room * share) - used - _OVERHEAD_TOKENS, settings.characters
        )
        return Request(
            model=settings.model,
            messages=(
                Message(role="system", content=system),
                Message(role="user", content=material),
                *objections,
            ),
            max_tokens=reply_tokens,
            temperature=settings.temperature,
        )


@cache
def packaged_prompt() -> str:
    """Return the prompt that comes with the package."""
    folder = resources.files(__package__) / "prompts"
    return (folder / "instructions.txt").read_text(encoding="utf-8")


def read_instructions(reply: Reply, characters: int) -> str:
    """Read the instructions out of a reply.

    Raises:
        InvalidReply: There are none. The message is for the model that wrote it.
    """
    if reply.finish == "length":
        raise InvalidReply("it was cut off at the length limit; be shorter.")
    found = _FOUND.findall(reply.message.content)
    if not found:
        raise InvalidReply("there is no <instructions>...</instructions>.")
    text = whole(found[-1].strip())
    if len(text) > characters:
        raise InvalidReply(f"they have {len(text)} characters; at most {characters} are allowed.")
    return text


def make_material(situation: Situation, prompt_tokens: int, characters: int) -> str:
    """Return the user message within so many tokens.

    Raises:
        ConfigError: Even without any conversation it does not fit.
    """
    batch = situation.batch
    fixed = [*_rest(batch, situation), Block("LIMIT", f"characters={characters}")]
    size = prompt_tokens * BYTES_PER_TOKEN
    room = size - sum(block.size for block in (heading(batch), *fixed)) - 64
    if room < 0:
        raise ConfigError(
            f"the optimizer's prompt may have {max(prompt_tokens, 0)} tokens, but the table of "
            f"{len(batch.episodes)} episodes alone needs more. Set a smaller training.batch_size, "
            "or a model with a larger context window",
            key="optimizer.prompt_tokens",
        )
    blocks = [heading(batch), *_fit(conversations(batch), room), *fixed]
    fence = fence_of(blocks)
    return f"fence: {fence}\n{render(blocks, fence)}"


def _rest(batch: Batch, situation: Situation) -> Iterator[Block]:
    yield table(batch)
    yield Block("CURRENT", body=batch.parameters.instructions)
    best = sorted(situation.failures, key=_by_score)[-_REJECTED_SHOWN:]
    for attempt in best:
        detail = f"score={show(attempt.score)}"
        yield Block("REJECTED", detail, attempt.parameters.instructions)
    if situation.last_verdict:
        yield Block("VERDICT", body=situation.last_verdict)


def _by_score(attempt: FailedAttempt) -> tuple[float, int]:
    return (attempt.score, attempt.step)


def _fit(ordered: Sequence[Conversation], room: int) -> Iterator[Block]:
    """Return the conversations that fit, in the order of their use."""
    for characters in _CUTS:
        if sum(conversation.size(characters) for conversation in ordered) <= room:
            break
    for conversation in ordered:
        size = conversation.size(characters)
        if size <= room:
            room -= size
            yield from (block.cut(characters) for block in conversation.blocks)


async def _publish(
    workbench: Workbench, step: int, action: int, edit: SetInstructions | None, refused: str
) -> None:
    await workbench.publish(
        EditProposed(run_id="", step=step, action=action, edit=edit, refused=refused)
    )
