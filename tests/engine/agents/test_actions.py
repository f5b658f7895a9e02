from __future__ import annotations

import json
import time

import pytest
from funcforge.engine.agents.actions import read_actions


def found(text: str, *, python: bool = True) -> list[tuple[str, str]]:
    """Name and arguments of each action; of code, the code."""
    return [
        (call.name, json.loads(call.arguments)["code"] if call.name == "python" else call.arguments)
        for call in read_actions(text, python=python).actions
    ]


@pytest.mark.parametrize(
    "tag",
    [
        "python",
        "Python",
        "py",
        "python3",
        " python",
        "python ",
        "python title=x",
        "python3.11",
        "{python}",
        "{.python}",
        "pycon",
        "ipython3",
    ],
)
def test_a_fenced_python_block_is_an_action(tag: str) -> None:
    assert found(f"First:\n```{tag}\n1 + 1\n```\nRun it.") == [("python", "1 + 1")]


def test_a_block_may_begin_behind_a_sentence() -> None:
    assert found("Run this: ```python\n1\n```") == [("python", "1")]


@pytest.mark.parametrize(
    ("text", "code", "prose"),
    [
        ("```python\n1\n``` Please run it: \\boxed{1}", ["1"], "Please run it: \\boxed{1}"),
        ("```python\n1\n``\nThen \\boxed{1}.", ["1"], "Then \\boxed{1}."),
        ("```python\n1\n```python\n2\n```\nend", ["1", "2"], "end"),
        ("```python\n1\n```\n```bash\npip install sympy\n```\nend", ["1"],
         "pip install sympy\n\nend"),
        ("````markdown\n```python\n1\n```\n````\n\\boxed{2}", [],
         "```python\n1\n```\n\\boxed{2}"),
        ("### Step 1\n```latex\nx^2\n```\n### Answer\n\\[\\boxed{4}\\]", [],
         "### Step 1\nx^2\n### Answer\n\\[\\boxed{4}\\]"),
        ("```python\n>>> a = 1\n>>> if a:\n...     a\n1\n```", ["a = 1\nif a:\n    a"], ""),
        ("```python\nIn [1]: 1 + 1\nOut[1]: 2\n```", ["1 + 1"], ""),
        ("```python\nprint('>>> no prompt')\n```", ["print('>>> no prompt')"], ""),
    ],
)  # fmt: skip
def test_fences_are_read_as_models_write_them(text: str, code: list[str], prose: str) -> None:
    reading = read_actions(text, python=True)

    assert [json.loads(call.arguments)["code"] for call in reading.actions] == code
    assert reading.prose.replace("\n\n", "\n") == prose.replace("\n\n", "\n")
    assert not reading.cut_off


def test_several_blocks_are_run_in_the_order_of_the_text() -> None:
    text = "```python\na = 1\n```\nthen\n```python\na + 1\n```"

    assert found(text) == [("python", "a = 1"), ("python", "a + 1")]


def test_blocks_inside_lists_lose_their_indentation() -> None:
    assert found("1. x\n   ```python\n   a = 1\n   if a:\n       a\n   ```") == [
        ("python", "a = 1\nif a:\n    a")
    ]


def test_windows_line_ends_are_read() -> None:
    assert found("```python\r\n1\r\n2\r\n```\r\n") == [("python", "1\n2")]


@pytest.mark.parametrize(
    ("block", "is_code"),
    [
        ("import math\nmath.pi", True),
        ("x = 3", True),
        ("print(3)", True),
        ("for x in range(3):\n    x", True),
        ("\\boxed{5}", False),
        ("x + 2y = 3", False),
        ("some plain output", False),
    ],
)
def test_an_untagged_block_is_code_only_if_it_looks_like_it(block: str, is_code: bool) -> None:
    assert bool(found(f"```\n{block}\n```")) is is_code


def test_blocks_in_other_languages_are_prose() -> None:
    reading = read_actions("```bash\npip install x\n```\n```latex\n\\boxed{1}\n```", python=True)

    assert reading.actions == ()
    assert "\\boxed{1}" in reading.prose


def test_without_an_interpreter_code_is_prose() -> None:
    assert found("```python\n1\n```", python=False) == []


def test_an_unclosed_block_reaches_to_the_end_and_says_so() -> None:
    reading = read_actions("```python\nprint(1", python=True)

    assert len(reading.actions) == 1
    assert reading.cut_off


def test_code_is_not_prose() -> None:
    reading = read_actions("a\n```python\nprint('\\boxed{1}')\n```\nb", python=True)

    assert "boxed" not in reading.prose
    assert reading.prose.split() == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        'Action: add\nAction Input: {"a": 1}',
        'Thought: hm\nAction: add\n\nAction Input: {"a": 1}\n',
        '**Action:** add\n**Action Input:** {"a": 1}',
        'Action: `add`\nAction Input: {"a": 1}',
        'Action: add({"a": 1})',
        'Action: add {"a": 1}',
        'Action: add\nAction Input:\n```json\n{"a": 1}\n```',
        '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>',
        '<tool_call>{"name": "add", "arguments": {"a": 1}}',
        '```json\n{"name": "add", "arguments": {"a": 1}}\n```',
        '```tool_call\n{"name": "add", "parameters": {"a": 1}}\n```',
        '```\n{"action": "add", "action_input": {"a": 1}}\n```',
        '```json\n{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}\n```',
        '```json\n{"name": "add", "arguments": "{\\"a\\": 1}"}\n```',
    ],
)
def test_calls_are_read_in_every_form_models_use(text: str) -> None:
    assert found(text) == [("add", '{"a": 1}')]


def test_arguments_may_go_over_several_lines() -> None:
    text = 'Action: add\nAction Input: {\n  "a": 1,\n  "b": 2\n}\nSo I wait.'
    reading = read_actions(text, python=True)

    assert json.loads(reading.actions[0].arguments) == {"a": 1, "b": 2}
    assert reading.prose == "So I wait."


def test_arguments_that_are_no_json_go_on_raw_so_that_the_model_is_told() -> None:
    assert found("Action: add\nAction Input: 1 and 2\nThought: hm") == [("add", "1 and 2")]


def test_an_action_without_input_is_a_call_without_arguments() -> None:
    assert found("Action: today") == [("today", "")]


@pytest.mark.parametrize(
    "text",
    [
        "Action: python\nAction Input:\n```python\nx = 1\nx\n```",
        "Action: python\nAction Input: ```python\nx = 1\nx\n```",
    ],
)
def test_code_as_action_input_is_run_once(text: str) -> None:
    names = [name for name, _ in found(text)]

    assert names == ["python"]


def test_code_on_lines_after_the_label_is_whole() -> None:
    call = read_actions("Action: python\nAction Input: x = 1\nx + 1\nThought: y", python=True)

    assert call.actions[0].arguments == "x = 1\nx + 1"


def test_code_and_calls_mixed_keep_their_order() -> None:
    text = '```python\n1\n```\nAction: add\nAction Input: {"a": 1}\n```python\n2\n```'

    assert found(text) == [("python", "1"), ("add", '{"a": 1}'), ("python", "2")]


def test_an_invented_observation_ends_the_message() -> None:
    text = "Action: add\nAction Input: {}\nObservation: 4\nThought: so \\boxed{4}\nAction: add"
    reading = read_actions(text, python=True)

    assert [call.name for call in reading.actions] == ["add"]
    assert "boxed" not in reading.prose


@pytest.mark.parametrize(
    "text",
    [
        "Action: I will now add the numbers",
        "Action: None",
        '```json\n{"name": "Ann", "age": 3}\n```',
        "```json\n[1, 2]\n```",
        "```json\n" + "[" * 100_000 + "\n```",
        "<tool_call>nonsense</tool_call>",
        '{"a": 1}',
    ],
)
def test_what_is_no_call_is_prose(text: str) -> None:
    reading = read_actions(text, python=True)

    assert reading.actions == ()
    assert reading.prose


@pytest.mark.parametrize(
    "text",
    ["Action: " + "_" * 30_000 + "!", "Action Input: " * 5_000 + "x", "Action:" + " *" * 20_000],
    ids=["underscores", "labels", "stars"],
)
def test_a_model_stuck_in_one_line_is_read_in_time(text: str) -> None:
    began_s = time.monotonic()

    read_actions(text, python=True)

    assert time.monotonic() - began_s < 1.0  # hours of thirty thousand underscores before
