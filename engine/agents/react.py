"""The agent that thinks and acts in text: for models without native tool calls."""

from __future__ import annotations

from ..agent import Workspace
from ..messages import Message
from ..ports import Answer
from ..tasks import Task
from .answers import AnswerFormat
from .dialogue import Dialogue, as_text, describe_tools
from .retrieval import Retriever, nearest_tools
from .settings import DialogueSettings
from .template import check_prompt, fill, read_prompt

PLACEHOLDERS = ("functions", "answer_format", "instructions")


class ReactAgent:
    """Writes Python blocks and `Action:` lines, reads the results in the next message.

    Source: Yao et al., "ReAct", arXiv 2210.03629. We differ: code blocks are actions, the
    interpreter keeps its variables for the episode, and several actions may stand in a message.

    Raises:
        ConfigError: On construction: the prompt lacks a placeholder, the answer format is none.
    """

    def __init__(self, settings: DialogueSettings | None = None) -> None:
        settings = settings or DialogueSettings()
        prompt = settings.prompt or read_prompt("react.md")
        self._prompt = check_prompt(prompt, PLACEHOLDERS, file=settings.prompt_file)
        self._answer = AnswerFormat.parse(settings.answer)
        self._functions = settings.functions
        self._retriever = Retriever(settings.demonstrations, settings.demonstration_tokens)

    async def __call__(self, task: Task, workspace: Workspace) -> Answer:
        """Solve one task."""
        tools = nearest_tools(workspace.tools(), workspace.parameters, task.prompt, self._functions)
        values = {
            "functions": describe_tools(tools),
            "answer_format": self._answer.instruction(),
            "instructions": workspace.parameters.instructions,
        }
        system = fill(self._prompt, values)
        opening = [Message(role="system", content=system, stable=len(system))]
        for demonstration in self._retriever.pick(workspace.parameters, task.id, task.prompt):
            opening.append(Message(role="user", content=demonstration.prompt))
            opening.extend(as_text(demonstration.messages))
        opening.append(Message(role="user", content=task.prompt))
        dialogue = Dialogue(workspace=workspace, answer=self._answer, opening=tuple(opening))
        return await dialogue.run()
