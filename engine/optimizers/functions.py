"""Learns functions by progressive update: one action per call on the functions as edited so far.

Source: AgentOptimizer, ICML 2024, arXiv 2402.11359, Algorithm 1. We differ in this: an action
that cannot be applied goes back with its reason and costs no action; a function is checked and
run in the sandbox before it counts; the prompt has a budget; the failure record shows how a
rejected set differs from the current one instead of all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..edits import Terminate, read_action, says_terminate
from ..errors import ConfigError, InvalidEdit, RequestRefused
from ..events import EditProposed
from ..function_checks import check_function
from ..functions import Function
from ..messages import Reply, ToolCall
from ..optimizer import Proposal, Situation, State, Workbench
from ..parameters import AddFunction, Edit, Parameters, ReviseFunction, apply
from .actions import instructions
from .dialogue import Asking, Dialogue
from .preflight import replay, smoke
from .prompt import Rules

_CALLS_READ = 16  # of one reply; a model that sends more is not heard further
_NO_CALL = (
    "Your reply holds no tool call, so nothing was done. Call one of add_function, "
    "revise_function, remove_function and terminate."
)
_CUT_OFF = (
    "Your reply was cut off at its length limit, so nothing of it was applied. Send one action "
    "only, with shorter code."
)
_FILTERED = "Your reply was cut off by the provider's content filter; nothing of it was applied."


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOptimizerSettings:
    """How the optimizer's model is asked, and what a function may be."""

    model: str  # provider/model
    actions_per_step: int = 3  # MAX of Algorithm 1
    tries: int = 3  # replies in a row without an action to apply; then the step ends
    prompt_tokens: int | None = None  # None: what the model's context window leaves
    reply_tokens: int = 4_096
    temperature: float | None = None  # None: the provider's default
    seed: int | None = None  # None: not sent
    progressive: bool = True  # False: all actions in one reply, without list B (ablation)
    prompt: str | None = None  # text that replaces the packaged instructions
    frozen_tools: tuple[str, ...] = ("python",)  # names that no function may take
    packages: tuple[str, ...] = ()  # what code may import beyond the standard library
    preflight: bool = True  # run what is proposed before any episode is paid for


class FunctionOptimizer:
    """Proposes edits of the agent's functions. Remembers nothing between steps.

    Raises:
        ConfigError: A setting makes no sense.
    """

    def __init__(self, settings: FunctionOptimizerSettings) -> None:
        if settings.actions_per_step < 1 or settings.tries < 1 or settings.reply_tokens < 1:
            raise ConfigError(
                "actions_per_step, tries and reply_tokens must be at least 1", key="optimizer"
            )
        if settings.prompt is not None and not settings.prompt.strip():
            raise ConfigError("the prompt is empty", key="optimizer.prompt")
        self._settings = settings

    def init(self) -> State:
        """Return the empty state: all that this optimizer knows stands in the situation."""
        return {}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        """Ask for actions until TERMINATE, the limit, or too many that cannot be applied.

        Raises:
            ModelError, BudgetExhausted, SandboxError: A system failed; nothing is proposed.
            ConfigError: The prompt's fixed parts exceed its budget.
        """
        step = _Step(self._settings, situation, workbench)
        await step.run()
        return Proposal(edits=tuple(step.edits), state=state, note=step.note)


class _Step:
    """One step while it goes on: list B, and how often the model was refused."""

    def __init__(
        self, settings: FunctionOptimizerSettings, situation: Situation, workbench: Workbench
    ) -> None:
        self.edits: list[Edit] = []
        self.note = ""
        self._settings = settings
        self._situation = situation
        self._workbench = workbench
        self._edited: Parameters = situation.batch.parameters
        self._dialogue = Dialogue(_asking(settings), situation, workbench)
        self._proposed = 0  # actions published
        self._sent_back: set[str] = set()  # hashes of revisions whose changes were told
        self._ended = False

    async def run(self) -> None:
        refused_replies = 0
        while not self._ended and len(self.edits) < self._settings.actions_per_step:
            applied = len(self.edits)
            try:
                reply = await self._dialogue.ask(self._edited, applied)
            except RequestRefused as error:
                if error.kind != "content_filter":
                    raise
                self.note = f"the provider refused the prompt: {error}"
                return
            await self._take(reply)
            if len(self.edits) > applied:
                refused_replies = 0
                self._ended = self._ended or not self._settings.progressive
            elif not self._ended:
                refused_replies += 1
                if refused_replies >= self._settings.tries:
                    self.note = f"{refused_replies} replies in a row held no action to apply"
                    return

    async def _take(self, reply: Reply) -> None:
        """Apply or refuse all that a reply holds."""
        content, calls = reply.message.content, reply.message.tool_calls
        if reply.finish == "length":
            await self._object(content, _CUT_OFF)
        elif reply.finish == "content_filter":
            await self._object(content, _FILTERED)
        elif calls:
            await self._take_calls(content, calls)
        elif says_terminate(content):
            self._ended = True
        else:
            await self._object(content, _NO_CALL)

    async def _object(self, content: str, reason: str) -> None:
        await self._publish(None, reason)
        self._dialogue.object(content, reason)

    async def _take_calls(self, content: str, calls: Sequence[ToolCall]) -> None:
        applied = len(self.edits)
        reasons = [await self._take_call(call) for call in calls[:_CALLS_READ]]
        if len(calls) > _CALLS_READ:
            await self._publish(None, f"{len(calls) - _CALLS_READ} more calls were not read")
        if len(self.edits) > applied:
            self._dialogue.accept()
        if any(reasons):
            answers = [f"Refused: {reason}" if reason else "Applied." for reason in reasons]
            self._dialogue.answer(content, calls[:_CALLS_READ], answers)

    async def _take_call(self, call: ToolCall) -> str:
        """Apply one call. Return why not, or nothing."""
        edit: Edit | None = None
        try:
            action = read_action(call, self._edited)
            if isinstance(action, Terminate):
                self._ended = True
                self.note = action.reason
                return ""
            edit = action
            self._require_room()
            edit = await self._vet(edit)
            edited = apply([edit], self._edited)
        except InvalidEdit as error:
            await self._publish(edit, str(error))
            return str(error)
        self._edited = edited
        self.edits.append(edit)
        await self._publish(edit, "")
        return ""

    def _require_room(self) -> None:
        if self._ended:
            raise InvalidEdit("It came after terminate, which ended the step.")
        if len(self.edits) >= self._settings.actions_per_step:
            raise InvalidEdit(
                f"The step's {self._settings.actions_per_step} actions are used up; "
                "it was not applied."
            )

    async def _vet(self, edit: Edit) -> Edit:
        """Return the edit as it may be applied: checked, cheapest first, then run.

        Raises:
            InvalidEdit: It may not; the message is for the model.
            SandboxError: The sandbox failed.
        """
        if not isinstance(edit, AddFunction | ReviseFunction):
            return edit
        function = check_function(
            edit.function,
            frozen_tools=self._settings.frozen_tools,
            packages=self._settings.packages,
        )
        edit = replace(edit, function=function)
        apply([edit], self._edited)  # adds what exists? revises what does not?
        if function == self._edited.function(function.name):
            raise InvalidEdit(f"This is {function.name} as it is now; nothing would change.")
        await self._workbench.check(function)
        if self._settings.preflight:
            await smoke(function, self._workbench)
            await self._compare(function)
        return edit

    async def _compare(self, function: Function) -> None:
        """Send a revision back once if it changes results that solved tasks relied on."""
        batch = self._situation.batch
        before = batch.parameters.function(function.name)
        if before is None or function.hash in self._sent_back:
            return
        found = await replay(before, function, batch.episodes, self._workbench)
        if found.changes:
            self._sent_back.add(function.hash)
            raise InvalidEdit(found.told(function.name))

    async def _publish(self, edit: Edit | None, refused: str) -> None:
        await self._workbench.publish(
            EditProposed(
                run_id="",
                step=self._situation.step,
                action=self._proposed,
                edit=edit,
                refused=refused,
            )
        )
        self._proposed += 1


def _asking(settings: FunctionOptimizerSettings) -> Asking:
    return Asking(
        model=settings.model,
        instructions=(settings.prompt or instructions()).strip(),
        rules=Rules(packages=settings.packages, frozen_tools=settings.frozen_tools),
        actions=settings.actions_per_step,
        progressive=settings.progressive,
        prompt_tokens=settings.prompt_tokens,
        reply_tokens=settings.reply_tokens,
        temperature=settings.temperature,
        seed=settings.seed,
    )
