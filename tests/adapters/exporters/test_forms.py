"""Exports that are data, and functions read back out of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from funcforge.adapters.exporters import EXPORTERS, Origin
from funcforge.adapters.exporters.json import read_parameters
from funcforge.adapters.exporters.reading import read_function
from funcforge.engine.errors import ConfigError
from funcforge.engine.functions import Function
from funcforge.engine.parameters import Parameters

AREA = Function(
    name="area",
    description="Area \ud800.",
    arguments={"type": "object", "properties": {"w": {"type": "number"}}, "required": ["w"]},
    code="def area(w):\n    return w * w\n",
    packages=("numpy",),
)
PARAMETERS = Parameters(functions=(AREA,), instructions="Use area.")
ORIGIN = Origin(run_id="r1", score=0.925, scored_on="test")


def test_openai_tools_hold_the_schema_as_it_is() -> None:
    tools = json.loads(EXPORTERS["openai"](PARAMETERS, ORIGIN))

    assert tools == [
        {
            "type": "function",
            "function": {
                "name": "area",
                "description": "Area \ud800.",
                "parameters": dict(AREA.arguments),
            },
        }
    ]


def test_json_gives_the_same_version_back(tmp_path: Path) -> None:
    file = tmp_path / "parameters.json"
    file.write_text(EXPORTERS["json"](PARAMETERS, ORIGIN))

    assert read_parameters(file) == PARAMETERS
    assert read_parameters(file).version == PARAMETERS.version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "holds no parameters"),
        ('{"functions": []}', "'instructions' is missing"),
        ('{"functions": 3, "instructions": "", "demonstrations": [], "model": 1}', "holds no"),
    ],
)
def test_a_file_that_holds_no_parameters_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)

    with pytest.raises(ConfigError, match=r"broken\.json") as caught:
        read_parameters(file)
    assert message in str(caught.value)


def test_the_module_says_where_it_comes_from() -> None:
    source = EXPORTERS["python"](PARAMETERS, ORIGIN)

    assert source.startswith('"""Functions learned by funcforge: run r1, version ')
    assert "92.5% on test.\n\nNeeds: numpy.\n" in source


def test_an_export_gives_its_schema_back(tmp_path: Path) -> None:
    file = tmp_path / "functions.py"
    file.write_text(EXPORTERS["python"](PARAMETERS, ORIGIN))

    function = read_function(file, "area")

    assert function.name == "area"
    assert function.arguments == AREA.arguments
    assert function.code == file.read_text()


def test_a_plain_files_schema_comes_from_the_signature(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import sympy.abc, math\nfrom numpy import pi\n"
        "def f(a: int, b: list[int], c='x', *, d: bool, e=None):\n    'Mine.'\n"
    )

    function = read_function(file, "f")

    assert function.description == "Mine."
    assert function.packages == ("numpy", "sympy")
    assert function.arguments == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"}, "b": {"type": "array"}, "c": {}, "d": {"type": "boolean"},
            "e": {},
        },
        "required": ["a", "b", "d"],
        "additionalProperties": False,
    }  # fmt: skip


def test_reading_a_file_never_runs_it(tmp_path: Path) -> None:
    file = tmp_path / "evil.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(): ...\n")

    read_function(file, "f")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"def g(): ...", "there is no function 'f'; it defines g"),
        (b"x = 1", "it defines no function"),
        (b"def f(:", "is not valid Python: line 1: invalid syntax"),
        (b"\xff", "is not UTF-8"),
        (b"TOOLS = [{'function': 3}, 1]\nTOOLS2: list", "there is no function 'f'"),
    ],
)
def test_a_file_without_the_function_says_what_it_has(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "some.py"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"some\.py") as caught:
        read_function(file, "f")
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_function(tmp_path / "no.py", "f")
