"""What is said where the cluster is not as this process, or is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from funcforge.adapters.executors.cluster import open_cluster
from funcforge.engine.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]

# run in processes of their own: Ray has one connection for each
OTHER_PYTHON = """
import sys
import anyio
import ray
import ray._private.utils
from funcforge.adapters.executors.cluster import open_cluster

ray._private.utils.compute_version_info = lambda: (ray.__version__, "3.99.1")

async def main():
    async with open_cluster(sys.argv[1], 1):
        pass

anyio.run(main)
"""
NO_PACKAGE = """
import sys
import anyio
import ray
from funcforge.adapters.executors.cluster import open_cluster
from funcforge.adapters.executors.crew import open_crew
from tests.contracts import benches
from pathlib import Path

sys.path[:] = [path for path in sys.path if not path.endswith(".dev")]  # Ray hands it on
ray.init(address=sys.argv[1], runtime_env={"py_executable": sys.argv[2]}, log_to_driver=False)

async def main():
    async with open_cluster(None, 1) as cluster:
        async with open_crew(cluster, benches.setup(Path("/nowhere")), 1) as crew:
            await crew.complete()

anyio.run(main)
"""


async def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ConfigError, match=r'executor\.kind.*pip install "funcforge\[ray\]"'):
        async with open_cluster(None, 1):
            pass


@pytest.mark.slow
def test_a_cluster_with_another_python_is_refused(ray_address: str) -> None:
    said = run(OTHER_PYTHON, ray_address)

    assert "ConfigError: executor.address: cannot use the Ray cluster" in said
    assert "Version mismatch" in said
    assert "Python: 3.99.1" in said


@pytest.mark.slow
def test_a_node_without_funcforge_is_refused(ray_address: str, tmp_path: Path) -> None:
    # -S: packages are found, but not those installed by a path file, as funcforge is here
    python = tmp_path / "python"
    paths = ":".join(path for path in sys.path if path.endswith("site-packages"))
    python.write_text(f'#!/bin/sh\nPYTHONPATH={paths} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)

    said = run(NO_PACKAGE, ray_address, str(python))

    assert "ConfigError: executor.address: a node of the cluster cannot import funcforge" in said


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr
