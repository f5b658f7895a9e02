"""The agent of the papers' "GPT-4+": native tool calls and a code interpreter."""

from __future__ import annotations

from functools import lru_cache

from ..agent import Workspace
from ..messages import Message
from ..ports import Answer
from ..tasks import Task
from .answers import AnswerFormat
from .dialogue import PYTHON, Dialogue, as_text
from .retrieval import Retriever, nearest_tools
from .settings import DialogueSettings
from .template import check_prompt, fill, phrases, read_prompt

PLACEHOLDERS = ("answer_format", "instructions")
OPTIONAL = ("tools",)
_SYSTEMS = 64  # system messages kept: one for each version of the parameters in use


class ToolCallingAgent:
    """Calls functions by the provider's own mechanism; calls of one reply run at once.

    Python blocks in the text run too, as models that were told of an interpreter often write
    them; so do calls in the text, if they name a tool.

    Raises:
        ConfigError: On construction: the prompt lacks a placeholder, the answer format is none.
    """

    def __init__(self, settings: DialogueSettings | None = None) -> None:
        settings = settings or DialogueSettings()
        prompt = settings.prompt or read_prompt("tool_calling.md")
        self._prompt = check_prompt(
            prompt, PLACEHOLDERS, optional=OPTIONAL, file=settings.prompt_file
        )
        self._answer = AnswerFormat.parse(settings.answer)
        self._functions = settings.functions
        self._retriever = Retriever(settings.demonstrations, settings.demonstration_tokens)

    async def __call__(self, task: Task, workspace: Workspace) -> Answer:
        """Solve one task."""
        tools = nearest_tools(workspace.tools(), workspace.parameters, task.prompt, self._functions)
        opening = [
            _system(
                self._prompt,
                how_to_act(bool(tools), python=any(tool.name == PYTHON for tool in tools)),
                self._answer.instruction(),
                workspace.parameters.instructions,
            )
        ]
        for demonstration in self._retriever.pick(workspace.parameters, task.id, task.prompt):
            opening.append(Message(role="user", content=demonstration.prompt))
            # providers refuse calls in a conversation that offers no tools
            opening.extend(demonstration.messages if tools else as_text(demonstration.messages))
        opening.append(Message(role="user", content=task.prompt))
        dialogue = Dialogue(
            workspace=workspace,
            answer=self._answer,
            opening=tuple(opening),
            offered=tools,
            text_calls=False,
        )
        return await dialogue.run()


def how_to_act(tools: bool, *, python: bool) -> str:
    """Return what a model is told of its tools: nothing where it has none."""
    if not tools:
        return ""
    told = phrases()["tools"]
    names = ("use", *(("python",) if python else ()), "results", "honest")
    return "\n".join(told[name] for name in names)


@lru_cache(_SYSTEMS)
def _system(prompt: str, tools: str, answer_format: str, instructions: str) -> Message:
    """Return the system message: one object for all episodes of a version."""
    values = {"tools": tools, "answer_format": answer_format, "instructions": instructions}
    text = fill(prompt, values)
    return Message(role="system", content=text, stable=len(text))
