"""No hostile function gets what it wants, and none disturbs the next call."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from funcforge.adapters.sandboxes import Pool, SandboxSettings, open_sandbox
from funcforge.engine.errors import SandboxUnavailable

from tests.adapters.sandboxes.holding import BACKENDS, function, holding
from tests.adapters.sandboxes.hostile import HOSTILE, Hostile

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls by number"),
]

_CANARY = "sk-canary-of-the-engine"
# another text than its parts in the attack's own code, which is in its memory as well
_IN_MEMORY = "sk-" + "canary-in-memory" + "!"


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=BACKENDS)
async def pool(request: pytest.FixtureRequest, canary: Path) -> AsyncIterator[Pool]:
    settings = SandboxSettings(
        backend=request.param, wall_s=1.5, memory_mb=256, scratch_mb=8, output_bytes=20_000
    )
    descriptor = os.open(canary, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        async with holding(open_sandbox(settings)) as opened:
            yield opened
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("secrets") / "key"
    path.write_text(_CANARY)
    os.environ["HOSTILE_TEST_API_KEY"] = _CANARY
    yield path
    del os.environ["HOSTILE_TEST_API_KEY"]


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.name)
async def test_an_attack_fails(pool: Pool, canary: Path, attack: Hostile) -> None:
    parent_pids = _parents(pool)

    result = await pool.call(function(attack.code, "canary"), {"canary": str(canary)})

    assert result.value != "ESCAPED"
    assert result.outcome in ("value", "exception", "timeout")
    assert len(result.stdout) <= pool.settings.output_bytes + 100
    after = await pool.call(function("def f(): return 'well'"), {})
    assert (after.outcome, after.value) == ("value", "well")
    assert set(parent_pids.items()) <= set(_parents(pool).items())


@pytest.mark.parametrize(
    "attack", [attack for attack in HOSTILE if attack.control], ids=lambda attack: attack.name
)
async def test_the_attack_would_succeed_unconfined(
    canary: Path, tmp_path: Path, attack: Hostile
) -> None:
    program = f"{attack.code}\nprint(f({str(canary)!r}))"

    # by way of a process that began with the secret in its environment, as an engine does
    relay = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    done = subprocess.run(  # noqa: ASYNC221 - nothing else waits
        [sys.executable, "-c", relay, program],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.stdout.strip().endswith("ESCAPED"), done.stderr


def _parents(pool: Pool) -> dict[tuple[str, ...], int]:
    found = {}
    for packages, parent in pool._parents.items():
        assert parent._process is not None
        found[packages] = parent._process.pid
    return found
