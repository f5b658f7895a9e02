from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import funcforge
import funcforge.adapters.cli
import pytest


def test_every_public_name_can_be_imported() -> None:
    assert sorted(funcforge.__all__) == sorted(funcforge._HOMES)
    for name in funcforge.__all__:
        assert getattr(funcforge, name).__name__ == name


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, funcforge;"
        "heavy = {'litellm', 'scipy', 'pydantic', 'aiosqlite', 'rich', 'anyio'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(funcforge.adapters.cli.__path__)]
)
def test_every_command_can_be_imported(name: str) -> None:
    importlib.import_module(f"funcforge.adapters.cli.{name}")
