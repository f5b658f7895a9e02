"""The same for a user without any right: contract and attacks run again as `nobody`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="the tests run without rights already"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv"),
]


@pytest.fixture
def home() -> Iterator[Path]:
    # not below pytest's own folder, which is closed to other users
    with tempfile.TemporaryDirectory(prefix="funcforge-nobody-") as folder:
        shutil.chown(folder, 65534, 65534)
        yield Path(folder)


@pytest.mark.parametrize(
    "tests",
    ["tests/contracts/test_sandbox.py", "tests/adapters/sandboxes/test_hostile.py"],
    ids=["contract", "attacks"],
)
def test_it_holds_for_an_unprivileged_user(home: Path, tests: str) -> None:
    python = _python_for_nobody()
    variables = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{_ROOT / '.dev'}:{Path(pytest.__file__).parents[1]}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = ["-p", "no:cacheprovider", "-rs", "-k", "not would_succeed"]

    done = subprocess.run(
        [*_NOBODY, python, "-m", "pytest", tests, *options],
        cwd=_ROOT, env=variables, capture_output=True, text=True, timeout=600,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    assert "passed" in done.stdout
    if shutil.which("bwrap"):
        assert "skipped" not in done.stdout, done.stdout


def _python_for_nobody() -> str:
    """Return a Python of the same version that `nobody` may read; root's home is closed to it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (
        sys.executable,
        f"/usr/bin/python{version}",
        f"/usr/local/bin/python{version}",
    ):
        try:
            subprocess.run(
                [*_NOBODY, candidate, "-c", "import sys; open(sys.executable)"],
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip("no Python of this version is readable for another user")
