"""The requests of one step: the prompt within its budget, and what was refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..canonical import canonical_json
from ..errors import RequestRefused
from ..events import PromptTrimmed
from ..messages import Message, Reply, Request, ToolCall
from ..optimizer import Situation, Workbench
from ..parameters import Parameters
from ..workspace import cut
from .actions import action_tools
from .blocks import byte_size, tokens, whole
from .prompt import Prefix, Rules, make_prefix, make_tail

_ECHO_CHARACTERS = 4_000  # of a refused call that the model is shown again
_OVERHEAD_TOKENS = 200  # of chat templates around messages and tools
_SMALLEST_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the optimizer's model is asked."""

    model: str
    instructions: str
    rules: Rules
    actions: int  # in a step, at most
    progressive: bool
    prompt_tokens: int | None
    reply_tokens: int
    temperature: float | None
    seed: int | None


@dataclass(slots=True)
class Dialogue:
    """Asks for one action after another, with what does not change in front."""

    asking: Asking
    situation: Situation
    workbench: Workbench
    _prefix: Prefix | None = None
    _published: bool = False
    _share: float = 1.0  # of the budget in use; halved when the provider says "too long"
    _refused: list[tuple[Message, ...]] = field(default_factory=list)

    async def ask(self, edited: Parameters, done: int) -> Reply:
        """Ask for the next action.

        Args:
            edited: List B.
            done: Actions applied so far in this step.

        Raises:
            ModelError, BudgetExhausted: There is no reply.
            ConfigError: The prompt's fixed parts exceed its budget.
        """
        while True:
            request = await self._request(edited, done)
            try:
                return await self.workbench.complete(request)
            except RequestRefused as error:
                if error.kind != "context_too_long" or self._share <= _SMALLEST_SHARE:
                    raise
                self._share /= 2  # the estimate was too low for this text
                self._prefix = None

    def accept(self) -> None:
        """Forget what was refused: an action was applied since."""
        self._refused.clear()

    def answer(self, content: str, calls: Sequence[ToolCall], answers: Sequence[str]) -> None:
        """Show the model its calls again, each with its answer."""
        echoed = tuple(_echo(call, at) for at, call in enumerate(calls))
        results = (
            Message(role="tool", content=text, tool_call_id=call.id)
            for call, text in zip(echoed, answers, strict=True)
        )
        said = Message(
            role="assistant", content=whole(cut(content, _ECHO_CHARACTERS)), tool_calls=echoed
        )
        self._refused.append((said, *results))

    def object(self, content: str, answer: str) -> None:
        """Tell the model that a reply was no action."""
        said = whole(cut(content.strip(), _ECHO_CHARACTERS)) or "(nothing)"
        self._refused.append(
            (Message(role="assistant", content=said), Message(role="user", content=answer))
        )

    async def _request(self, edited: Parameters, done: int) -> Request:
        asking = self.asking
        facts = self.workbench.facts()
        reply_tokens = min(asking.reply_tokens, facts.max_output_tokens, facts.context_tokens // 4)
        room = facts.context_tokens - reply_tokens
        if asking.prompt_tokens is not None:
            room = min(room, asking.prompt_tokens)
        room = int(room * self._share) - _OVERHEAD_TOKENS - self._fixed_tokens()
        prompt = await self._prompt(edited, done, room, reply_tokens)
        stable = len(self._prefix.text) if self._prefix else 0
        return Request(
            model=asking.model,
            messages=(
                Message(role="system", content=asking.instructions),
                Message(role="user", content=prompt, stable=stable),
                *(message for exchange in self._refused for message in exchange),
            ),
            tools=action_tools(),
            max_tokens=reply_tokens,
            temperature=asking.temperature,
            seed=asking.seed,
        )

    async def _prompt(self, edited: Parameters, done: int, room: int, reply_tokens: int) -> str:
        """Return the user message within `room` tokens; its prefix stays while that fits."""
        if self._prefix is None:
            # what list B may grow by, and what may be sent back
            reserve = min((self.asking.actions + 1) * reply_tokens, room // 4)
            self._prefix = await self._make_prefix(room - reserve)
        tail = self._tail(edited, done, self._prefix)
        if _tokens(self._prefix.text, tail) + self._refused_tokens() > room:
            del self._refused[:-1]
            rest = room - _tokens(tail) - self._refused_tokens()
            self._prefix = await self._make_prefix(rest)
            tail = self._tail(edited, done, self._prefix)
        return self._prefix.text + tail

    async def _make_prefix(self, room: int) -> Prefix:
        prefix = make_prefix(self.situation, self.asking.rules, max(room, 0))
        if prefix.trimmed and not self._published:
            self._published = True
            await self.workbench.publish(
                PromptTrimmed(
                    run_id="",
                    step=self.situation.step,
                    messages_cut=prefix.messages_cut,
                    episodes_left_out=prefix.episodes_left_out,
                    rejected_left_out=prefix.rejected_left_out,
                )
            )
        return prefix

    def _tail(self, edited: Parameters, done: int, prefix: Prefix) -> str:
        return make_tail(
            self.situation.batch.parameters,
            edited,
            done=done,
            limit=self.asking.actions,
            progressive=self.asking.progressive,
            fence=prefix.fence,
        )

    def _fixed_tokens(self) -> int:
        tools = "".join(canonical_json(tool.to_json()) for tool in action_tools())
        return _tokens(self.asking.instructions, tools)

    def _refused_tokens(self) -> int:
        messages = [message for exchange in self._refused for message in exchange]
        calls = [call.arguments for message in messages for call in message.tool_calls]
        return _tokens(*(message.content for message in messages), *calls) + 30 * len(messages)


def _echo(call: ToolCall, at: int) -> ToolCall:
    """Return a call that every provider takes back: an id, a short name, a JSON object.

    Some translate a conversation by parsing its arguments, and fail on what a model garbled.
    """
    arguments = "{}"
    if len(call.arguments) <= _ECHO_CHARACTERS:
        try:
            values = json.loads(call.arguments, strict=False)
            arguments = canonical_json(values if isinstance(values, dict) else {})
        except (ValueError, RecursionError):
            arguments = "{}"
    name = "".join(c for c in call.name if c.isascii() and (c.isalnum() or c in "_-"))[:64]
    return ToolCall(id=call.id or f"call_{at}", name=name or "unknown", arguments=whole(arguments))


def _tokens(*texts: str) -> int:
    return sum(tokens(byte_size(text)) for text in texts)
