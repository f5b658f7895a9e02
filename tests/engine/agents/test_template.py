from __future__ import annotations

import pytest
from funcforge.engine.agents.react import ReactAgent
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.template import fill
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.errors import ConfigError

from tests.engine.agents.scripted import TASK, ScriptedWorkspace, boxed


def test_a_prompt_without_a_placeholder_is_refused_with_file_and_name() -> None:
    settings = DialogueSettings(prompt="Solve. {{answer_format}}", prompt_file="mine.md")

    with pytest.raises(ConfigError, match=r"mine\.md: the prompt lacks \{\{instructions\}\}"):
        ToolCallingAgent(settings)
    with pytest.raises(ConfigError, match=r"lacks \{\{functions\}\}, \{\{instructions\}\}"):
        ReactAgent(settings)


def test_an_unknown_placeholder_is_refused() -> None:
    settings = DialogueSettings(prompt="{{answer_format}} {{instructions}} {{task}}")

    with pytest.raises(ConfigError, match=r"unknown placeholder, \{\{task\}\}"):
        ToolCallingAgent(settings)


def test_an_unknown_answer_format_is_refused_at_construction() -> None:
    with pytest.raises(ConfigError, match="allowed are"):
        ReactAgent(DialogueSettings(answer="boxes"))


async def test_another_prompt_replaces_the_built_in_one() -> None:
    prompt = "Mine, with $x$ and {braces}. {{answer_format}}{{instructions}}"
    workspace = ScriptedWorkspace(boxed("4"))

    await ToolCallingAgent(DialogueSettings(prompt=prompt))(TASK, workspace)

    assert workspace.requests[0][0].content.startswith("Mine, with $x$ and {braces}. When")


def test_what_is_filled_in_is_not_read_as_a_placeholder() -> None:
    assert fill("{{a}} {{b}}", {"a": "{{b}}", "b": "x"}) == "{{b}} x"
