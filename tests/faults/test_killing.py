"""Invariant 3: what was paid for is kept, wherever the process is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.killing import World, kill_loop, undisturbed


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(train=16, test=160, kills=8, seed=4), id="local"),
        pytest.param(
            World(train=16, test=80, kills=2, seed=5, executor="processes"),
            id="processes",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            World(train=16, test=80, kills=1, seed=6, executor="ray"),
            id="ray",
            marks=pytest.mark.slow,
        ),
    ],
)
async def test_killed_at_random_moments_a_training_ends_as_if_nothing_had_happened(
    tmp_path: Path, world: World
) -> None:
    (tmp_path / "peace").mkdir()
    peace = await undisturbed(tmp_path / "peace", world)

    found = await kill_loop(tmp_path, world)

    assert found.end is not None
    assert found.end.code == 0, found.end.err
    assert found.kills == world.kills
    assert found.committed_asked_again == 0
    assert found.billed_again <= found.in_flight_at_kills
    assert found.most_in_flight_at_a_kill <= world.in_flight
    assert found.orphans == 0
    # parameters, decisions, scores, checkpoints and spend: all rows are those of the other run
    assert found.rows is not None
    assert peace.rows is not None
    for table, rows in peace.rows.items():
        assert found.rows[table] == rows, table
    usage = found.end.told["usage"]
    assert usage["calls"] == found.committed == peace.asked
    assert (usage["calls"], usage["prompt_tokens"], usage["completion_tokens"]) == tuple(
        found.rows["runs"][0][name] for name in ("calls", "prompt_tokens", "completion_tokens")
    )
