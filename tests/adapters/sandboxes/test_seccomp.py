"""The system call filter, on a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from funcforge.adapters.sandboxes.interpreter_files import GUEST

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="no table of system calls"
)

_PROGRAM = """
import os, sys
from guest import kernel, seccomp

kernel.CallFilter(seccomp.program(own_pid=os.getpid(), cuts=sys.argv[1] == "True")).install()
for name, attempt in {
    "by path": lambda: os.truncate("file", 1),
    "by reading": lambda: os.open("file", os.O_RDONLY | os.O_TRUNC),
    "by writing": lambda: open("file", "w").close(),
    "reading": lambda: open("file").close(),
}.items():
    try:
        attempt()
    except PermissionError:
        print(name)
"""


@pytest.mark.parametrize(("cuts", "refused"), [(True, []), (False, ["by path", "by reading"])])
def test_files_are_not_cut_where_nothing_else_forbids_it(
    tmp_path: Path, cuts: bool, refused: list[str]
) -> None:
    (tmp_path / "file").write_text("text")

    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(cuts)],
        cwd=tmp_path, env={"PYTHONPATH": str(GUEST.parent)}, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip

    assert done.stdout.splitlines() == refused
