"""Runs a script in a process of its own, as another user if need be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

IS_ROOT = os.geteuid() == 0


async def run_python(script: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run a script; its `become_nobody()` gives up root, after what it imports is imported."""
    preface = f"import os\ndef become_nobody(): os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    command = [sys.executable, "-c", preface + script, *map(str, arguments)]
    return await anyio.run_process(command, cwd=ROOT, check=False)


def reachable(folder: Path) -> None:
    """Let everybody look into the folders that pytest keeps to itself."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.getuid() and parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    folder.chmod(0o755)


def listing(folder: Path) -> list[tuple[str, int]]:
    """Return names and sizes of the files in a folder."""
    return sorted((file.name, file.stat().st_size) for file in folder.iterdir())
