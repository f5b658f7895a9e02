"""Votes go through the run's limiter and budget like any other call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.voting import vote


async def test_votes_keep_the_rate_and_the_shared_budget_and_none_is_paid_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")

    voted = await vote(tmp_path, trajectories=20, votes=16, per_minute=6_000, cap=150, window_s=1.0)

    assert voted.paused_calls == 150
    assert voted.calls == 20 * (1 + 16)
    assert voted.judged == 20
    assert voted.most_in_window <= voted.allowed_in_window
