"""The environment of packages is built once, from what is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge.adapters.sandboxes.environment import build_environment


def test_an_environment_holds_its_packages_and_what_they_require(tmp_path: Path) -> None:
    environment = build_environment(("sympy",), tmp_path)

    assert environment.packages == ("sympy",)
    assert {path.name for path in environment.folder.iterdir()} >= {"sympy", "mpmath"}
    assert not (environment.folder / "litellm").exists()
    assert list((environment.folder / "sympy" / "__pycache__").glob("*.pyc"))


def test_the_same_packages_are_built_once(tmp_path: Path) -> None:
    first = build_environment(("sympy",), tmp_path)
    (first.folder / "mark").touch()
    second = build_environment(("sympy", "sympy"), tmp_path)

    assert second == first
    assert (second.folder / "mark").exists()
    assert [path.name for path in tmp_path.iterdir()] == [first.folder.name]


def test_another_set_is_another_folder(tmp_path: Path) -> None:
    assert build_environment((), tmp_path).folder != build_environment(("six",), tmp_path).folder


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (("math", "sympy", "sympy.abc"), ""),
        (("requests",), "package 'requests' is not allowed. Use the standard library or one of"),
        (("no_such_package",), "allowed but not installed here: pip install no_such_package"),
    ],
)
def test_a_refusal_gives_the_true_reason(
    tmp_path: Path, wanted: tuple[str, ...], reason: str
) -> None:
    environment = build_environment(("sympy", "no_such_package"), tmp_path)

    assert environment.missing == ("no_such_package",)
    assert reason in environment.refusal(wanted)
    assert bool(environment.refusal(wanted)) == bool(reason)
