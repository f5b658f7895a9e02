"""Code as models paste it into the interpreter's argument."""

from __future__ import annotations

import time

import pytest
from funcforge.engine.pasted_code import bare_code


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        ("print(1)\n", "print(1)\n"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("\n```py\nprint(1)\n\n```\n", "print(1)\n"),
        ("```\nprint(1)", "print(1)"),
        ("```python", ""),
        (">>> x = 1\n>>> x\n1", "x = 1\nx"),
        ("x = '''\n```\n'''", "x = '''\n```\n'''"),
        ("x = 1\n>>> x", "x = 1\n>>> x"),
        ("", ""),
    ],
)
def test_fences_and_prompts_go_and_all_else_stays(pasted: str, code: str) -> None:
    assert bare_code(pasted) == code


def test_a_long_paste_takes_no_time() -> None:
    started_s = time.perf_counter()

    bare_code("```\n" + " " * 500_000 + "x")
    bare_code(">>> " * 100_000)

    assert time.perf_counter() - started_s < 1.0
