"""A baseline: makes a tool set once, out of the training tasks that were solved.

Source: Yuan et al., "CRAFT: Customizing LLMs by Creating and Retrieving from Specialized
Toolsets", arXiv 2309.17428, section 2: generation, abstraction, verification, deduplication. We
differ: the solutions are the agent's own solved episodes, which the scorer has verified; a tool
that fails goes back with the reason; retrieval at inference is the agent's (`agent.functions`),
by words instead of embeddings, over name, description and the problem that the tool was made for.

One model call at a time, in the order of the tasks: the next call's place in the journal must not
hang on which reply came first.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

from ..canonical import canonical_json
from ..edits import read_action
from ..episode import Episode
from ..errors import InvalidEdit, InvalidReply, RequestRefused, SandboxError
from ..events import EditProposed
from ..function_checks import DESCRIPTION_CHARACTERS, check_function
from ..functions import Function
from ..messages import Message, Request, Tool, ToolCall
from ..optimizer import Proposal, Situation, State, Workbench
from ..parameters import AddFunction, Edit
from ..schemas import validate_arguments
from ..workspace import cut, render
from .actions import action_tools
from .blocks import whole
from .functions import FunctionOptimizerSettings

_EXAMPLE_CHARACTERS = 400  # of the problem that a tool was made for, in its description
_SOLUTION_CHARACTERS = 12_000
_TOLD_CHARACTERS = 400
_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")


class CraftOptimizer:
    """Proposes a tool for each solved task that has none yet; `actions_per_step` bounds them."""

    def __init__(self, settings: FunctionOptimizerSettings) -> None:
        self._settings = settings

    def init(self) -> State:
        """Return the first state: no task was looked at."""
        return {"tasks": []}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        """Abstract, verify and deduplicate.

        Raises:
            ModelError, BudgetExhausted, SandboxError: A system failed; nothing is proposed.
        """
        step = _Step(self._settings, situation, workbench)
        looked_at = {str(task_id) for task_id in state["tasks"]}
        for episode in situation.batch.episodes:
            if len(step.kept) >= self._settings.actions_per_step:
                break
            task_id = episode.job.task_id
            if episode.solved and task_id not in looked_at:
                looked_at.add(task_id)
                await step.make(episode)
        edits = tuple(AddFunction(function=step.kept[name]) for name in sorted(step.kept))
        note = f"{len(edits)} tools out of {step.solved} solved tasks"
        return Proposal(edits=edits, state={"tasks": sorted(looked_at)}, note=note)


class _Step:
    """One step while it goes on."""

    def __init__(
        self, settings: FunctionOptimizerSettings, situation: Situation, workbench: Workbench
    ) -> None:
        self.kept: dict[str, Function] = {}
        self.solved = 0
        self._settings = settings
        self._situation = situation
        self._workbench = workbench
        self._published = 0

    async def make(self, episode: Episode) -> None:
        """Make a tool out of one solution, in as many tries as there may be."""
        self.solved += 1
        messages = [
            Message(role="system", content=(self._settings.prompt or instructions()).strip()),
            Message(role="user", content=_solution(episode)),
        ]
        for _ in range(self._settings.tries):
            edit: AddFunction | None = None
            call: ToolCall | None = None
            try:
                call = await self._ask(messages, action_tools()[:1])
                action = read_action(call, self._situation.batch.parameters)
                if not isinstance(action, AddFunction):
                    raise InvalidEdit("Call add_function with the tool.")
                edit = action
                function = await self._verified(edit.function, episode)
            except InvalidEdit as error:
                await self._publish(edit, str(error))
                messages += _refusal(call, str(error))
                continue
            except RequestRefused as error:
                await self._publish(edit, f"the provider refused the prompt: {error}")
                return
            await self._keep(function)
            return

    async def _ask(self, messages: list[Message], tools: tuple[Tool, ...]) -> ToolCall:
        """Return the first call of the reply.

        Raises:
            InvalidEdit: There is none, or it was cut off.
        """
        settings = self._settings
        facts = self._workbench.facts()
        reply = await self._workbench.complete(
            Request(
                model=settings.model,
                messages=tuple(messages),
                tools=tools,
                tool_choice="required",
                max_tokens=min(settings.reply_tokens, facts.max_output_tokens),
                temperature=settings.temperature,
                seed=settings.seed,
            )
        )
        if reply.finish == "length":
            raise InvalidEdit("Your reply was cut off at its length limit. Write shorter code.")
        if not reply.message.tool_calls:
            raise InvalidEdit(f"Your reply holds no tool call. Call {tools[0].name}.")
        return reply.message.tool_calls[0]

    async def _verified(self, proposed: Function, episode: Episode) -> Function:
        """Return the function if it loads and gives the right answer to its own problem.

        Raises:
            InvalidEdit: It does not; the message is for the model.
            SandboxError: The sandbox failed.
        """
        example = cut(episode.prompt.strip(), _EXAMPLE_CHARACTERS)
        description = f"{proposed.description.strip()}\nMade for: {example}"
        function = check_function(
            replace(proposed, description=whole(description[:DESCRIPTION_CHARACTERS])),
            frozen_tools=self._settings.frozen_tools,
            packages=self._settings.packages,
        )
        if self._situation.batch.parameters.function(function.name) is not None:
            raise InvalidEdit(f"A function named {function.name!r} exists. Take another name.")
        await self._workbench.check(function)
        question = Message(
            role="user",
            content=f"Call {function.name} with the values of this problem.\n\n{episode.prompt}",
        )
        call = await self._ask([question], (function.tool(),))
        result = await self._workbench.call(function, _arguments(call, function))
        if result.outcome == "system_failure":
            raise SandboxError(result.error)
        if result.outcome != "value" or not agrees(result.value, episode.answer or ""):
            told = cut(render(result), _TOLD_CHARACTERS)
            raise InvalidEdit(
                f"Called as {function.name}({cut(call.arguments, _TOLD_CHARACTERS)}) for its own "
                f"problem it gave {told}, but the answer is {cut(episode.answer or '', 200)}. "
                "Correct it."
            )
        return function

    async def _keep(self, function: Function) -> None:
        """Keep one tool of a name: the more comprehensive one, by its arguments, then its code."""
        known = self.kept.get(function.name)
        twin = next((one for one in self.kept.values() if one.code == function.code), None)
        if known is None and twin is None:
            self.kept[function.name] = function
            await self._publish(AddFunction(function=function), "")
            return
        if known is not None and _extent(function) > _extent(known):
            self.kept[function.name] = function
            await self._publish(AddFunction(function=known), "a more comprehensive one took over")
            await self._publish(AddFunction(function=function), "")
            return
        other = (known or twin or function).name
        await self._publish(AddFunction(function=function), f"a duplicate of {other}")

    async def _publish(self, edit: Edit | None, refused: str) -> None:
        await self._workbench.publish(
            EditProposed(
                run_id="",
                step=self._situation.step,
                action=self._published,
                edit=edit,
                refused=refused,
            )
        )
        self._published += 1


@cache
def instructions() -> str:
    """Return the instructions that come with the package."""
    return (resources.files(__package__) / "prompts" / "craft.txt").read_text("utf-8").strip()


def agrees(value: Any, answer: str) -> bool:
    """Whether a function's value is the answer: the same number, or the same text."""
    text = value if isinstance(value, str) else canonical_json(value)
    ours, theirs = _number(text), _number(answer)
    if ours is not None and theirs is not None:
        return abs(ours - theirs) <= abs(theirs) * Fraction(1, 10**6)
    return _plain(text) == _plain(answer)


def _number(text: str) -> Fraction | None:
    plain = _FRACTION.sub(r"\1/\2", text.strip().strip("$").replace("\\!", ""))
    plain = plain.replace(",", "").replace(" ", "").removesuffix("%").removesuffix("\\")
    if len(plain) > 100:
        return None
    try:
        return Fraction(plain)
    except (ValueError, ZeroDivisionError):
        return None


def _plain(text: str) -> str:
    return re.sub(r"[\s$\\\"'{}]|text", "", text).lower()


def _extent(function: Function) -> tuple[int, int]:
    return len(function.arguments.get("properties", {})), len(function.code)


def _arguments(call: ToolCall, function: Function) -> dict[str, Any]:
    try:
        values = json.loads(call.arguments or "{}")
        if call.name != function.name or not isinstance(values, dict):
            raise InvalidReply(f"The call was no call of {function.name} with a JSON object.")
        validate_arguments(function.arguments, values)
    except (ValueError, RecursionError) as error:
        raise InvalidEdit(f"It could not be called for its own problem: {error}") from None
    except InvalidReply as error:
        raise InvalidEdit(f"It could not be called for its own problem: {error}") from None
    return values


def _solution(episode: Episode) -> str:
    said = [
        message.content or " ".join(call.arguments for call in message.tool_calls)
        for message in episode.messages[1:]
        if message.role in ("assistant", "tool")
    ]
    solution = cut("\n\n".join(said), _SOLUTION_CHARACTERS)
    return whole(
        f"Problem:\n{episode.prompt}\n\nHow it was solved:\n{solution}\n\n"
        f"The right answer:\n{episode.answer}"
    )


def _refusal(call: ToolCall | None, reason: str) -> list[Message]:
    """Return what the model is told of a refusal, in text: no provider minds it."""
    said = cut(f"{call.name}({call.arguments})", _SOLUTION_CHARACTERS) if call else "(no call)"
    return [
        Message(role="assistant", content=whole(said)),
        Message(role="user", content=whole(f"Refused: {reason}")),
    ]
