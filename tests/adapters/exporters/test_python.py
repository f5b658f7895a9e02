"""The exported module: typed, documented, and every function as it was trained."""

from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.exporters import EXPORTERS, Origin
from funcforge.adapters.exporters.parsing import parse
from funcforge.adapters.exporters.python import export_python
from funcforge.engine.errors import ConfigError
from funcforge.engine.functions import Function
from funcforge.engine.parameters import Parameters

RECORDED = Path(__file__).parents[4] / "shared/data/recorded_math/functions.jsonl.gz"


def function(name: str, code: str, description: str = "", **properties: Any) -> Function:
    schema = {"type": "object", "properties": properties}
    return Function(name=name, description=description, arguments=schema, code=code)


def export(*functions: Function) -> str:
    ordered = tuple(sorted(functions, key=lambda f: f.name))
    return export_python(Parameters(functions=ordered), "run r, version v")


def load(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(source, "export.py", "exec"), namespace)
    return namespace


def test_types_and_docstring_come_from_the_schema() -> None:
    source = export(
        function(
            "area",
            "def area(width, height=2, unit='m'):  # model's comment\n    return width * height\n",
            "Area of a rectangle.",
            width={"type": "number", "description": "in metres"},
            height={"type": ["integer", "null"]},
            unit={"enum": ["m", "ft"]},
        )
    )

    assert (
        "def area(width: float, height: int | None = 2, unit: Literal['m', 'ft'] = 'm') -> Any:"
        "  # model's comment\n"
        '    """Area of a rectangle.\n\n    Args:\n        width: in metres\n    """\n'
        "    return width * height\n"
    ) in source
    assert load(source)["area"](3) == 6


def test_what_the_model_typed_and_documented_itself_stays() -> None:
    code = 'def f(a: "int", *rest, b=1, **more) -> int:\n    "Mine."\n    return a\n'

    source = export(function("f", code, "Other.", a={"type": "string"}))

    assert 'def f(a: "int", *rest, b: Any = 1, **more) -> int:\n    "Mine."\n' in source


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return x",
        "def f(x): y = x; return y",
        "def f(\n    x=(1),\n    # )\n    y=')',\n):\n    @id\n    def g(): ...\n    return x",
        "def f(x, y={'a': [1, (2)]}, /, *, z=lambda: (3)): return x",
        "def f(x):\r\n    return x\r\n",
        "def f(x):\n\treturn x",
        "if True:\n    pass\ndef f(é, x=1):\n    return x",
    ],
)
def test_any_layout_of_a_signature_is_typed(code: str) -> None:
    source = export(function("f", code, 'Says "hi"', x={"type": "integer"}))

    namespace = load(source)
    assert namespace["f"](5) in (5, 1)
    assert namespace["f"].__annotations__["return"] == "Any"
    assert namespace["f"].__doc__.startswith('Says "hi"')


def test_imports_are_gathered_on_top() -> None:
    source = export(
        function("a", "import math\nfrom fractions import Fraction\n\ndef a(): return math.pi"),
        function(
            "b", "import math\nfrom fractions import gcd_of as g, Fraction\ndef b(): return 1"
        ),
    )

    head = source.partition("__all__")[0]
    assert head.count("import math") == 1
    assert "from fractions import Fraction, gcd_of as g" in head


def test_helpers_of_one_name_do_not_meet() -> None:
    source = export(
        function("a", "def helper(): return 'a'\ndef a(): return helper()"),
        function("b", "def helper(): return 'b'\ndef b(): return helper()"),
    )

    namespace = load(source)
    assert (namespace["a"](), namespace["b"]()) == ("a", "b")


def test_a_helper_does_not_shadow_what_another_function_uses() -> None:
    source = export(
        function("a", "def round(x): return 'mine'\ndef a(): return round(1.4)"),
        function("b", "def b(): return round(1.4)"),
    )

    namespace = load(source)
    assert (namespace["a"](), namespace["b"]()) == ("mine", 1)


def test_a_helper_named_as_another_function_keeps_its_meaning() -> None:
    source = export(
        function("a", "def a(): return 'the function'"),
        function("b", "def a(): return 'the helper'\ndef b(): return a()"),
    )

    namespace = load(source)
    assert (namespace["a"](), namespace["b"]()) == ("the function", "the helper")


def test_texts_that_span_lines_keep_their_content_when_wrapped() -> None:
    text = 'TEXT = """one\n  two\n"""\ndef {0}():\n    return TEXT\n'

    namespace = load(export(function("a", text.format("a")), function("b", text.format("b"))))

    assert namespace["a"]() == namespace["b"]() == "one\n  two\n"


def test_codes_that_only_work_at_module_level_and_share_names_are_refused() -> None:
    code = "count = 0\ndef {0}():\n    global count\n    count += 1\n    return count"

    with pytest.raises(ConfigError, match="a: its code uses `global`"):
        export(function("a", code.format("a")), function("b", code.format("b")))
    assert load(export(function("a", code.format("a"))))["a"]() == 1


def test_hostile_texts_cannot_leave_their_quotes() -> None:
    text = '"""\nimport os\n"""; \\" \x00\x1b[31m \ud800 \\'
    source = export(function("f", "def f(x):\n    return x", text, x={"description": text}))

    namespace = load(source)
    assert "os" not in namespace
    assert namespace["TOOLS"][0]["function"]["name"] == "f"
    source.encode("utf-8")


def test_code_that_does_not_parse_is_named() -> None:
    with pytest.raises(ConfigError, match="broken: the code does not parse"):
        export(function("broken", "def broken(:"))
    with pytest.raises(ConfigError, match="it does not define ghost"):
        export(function("ghost", "x = 1"))


def test_nothing_learned_is_still_a_module() -> None:
    assert load(export())["TOOLS"] == []


def test_equal_parameters_give_equal_bytes() -> None:
    functions = (function("a", "def a(x):\n    return x", "A.", x={"type": "string"}),)
    parameters = Parameters(functions=functions)

    for export_one in EXPORTERS.values():
        origin = Origin(run_id="r", score=0.5, scored_on="test")
        assert export_one(parameters, origin) == export_one(parameters, origin)


def test_recorded_functions_export_together() -> None:
    if not RECORDED.exists():
        pytest.skip(f"needs {RECORDED}")
    functions = {}
    with gzip.open(RECORDED, "rt") as rows:
        for row in map(json.loads, rows):
            if row["defines_name"]:
                properties = row["arguments"] if isinstance(row["arguments"], dict) else {}
                properties = properties.get("properties", properties)
                functions[row["name"]] = function(row["name"], row["code"], row["description"])

    source = export(*functions.values())

    tree = parse(source)
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    assert set(functions) <= defined
    assert len(functions) > 200
