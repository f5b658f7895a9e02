"""Real functions, and the calls that were really made, end in the sandbox as they were recorded."""

from __future__ import annotations

import pytest
from funcforge.adapters.sandboxes import SandboxSettings, open_sandbox

from benchmarks.recorded_calls import DATA, load_all, replay, rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the recorded data is not on this machine"),
]


async def test_recorded_functions_load_or_are_refused_with_a_reason() -> None:
    functions = list(rows(DATA / "functions.jsonl.gz"))

    async with open_sandbox(SandboxSettings(wall_s=20.0)) as pool:
        loaded = await load_all(pool, functions)

    assert len(loaded) == 515
    assert {result.outcome for _, result in loaded} <= {"value", "exception", "refused"}
    assert all(result.error for _, result in loaded if result.outcome != "value")
    assert sum(result.outcome == "value" for _, result in loaded) >= 500


async def test_recorded_calls_end_as_recorded() -> None:
    functions = list(rows(DATA / "functions.jsonl.gz"))
    calls = [row for row in rows(DATA / "calls.jsonl.gz") if row["executed"]]

    async with open_sandbox(SandboxSettings(wall_s=20.0)) as pool:
        agreed, differences = await replay(pool, functions, calls)

    assert agreed >= 0.97 * len(calls), differences
