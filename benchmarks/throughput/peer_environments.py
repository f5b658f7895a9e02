"""One virtual environment for each peer, with its own package and nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGES = {
    "dspy": ("dspy",),
    "inspect": ("inspect-ai", "openai"),
    "ag2": ("ag2[openai]==0.9.9",),  # the last one that holds AgentOptimizer
}
_SHOWN = {"dspy": "dspy", "inspect": "inspect_ai", "ag2": "ag2"}


def python_of(name: str, cache: Path) -> Path:
    """Return the interpreter of a peer's environment, which is made if it is not there."""
    folder = cache / name
    ready = folder / ".ready"
    python = folder / "bin" / "python"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True
        )
        ready.touch()
    return python


def version_of(name: str, cache: Path) -> str:
    """Return the version of a peer."""
    code = f"from importlib.metadata import version; print(version({_SHOWN[name]!r}))"
    done = subprocess.run(
        [str(python_of(name, cache)), "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def litellm_version() -> str:
    """Return the version of LiteLLM that we run with."""
    return version("litellm")
