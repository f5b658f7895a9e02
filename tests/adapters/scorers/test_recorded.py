"""Verdicts on real dialogues: no answer that was right is scored wrong."""

from __future__ import annotations

import pytest

from benchmarks.recorded_dialogues import EPISODES, episodes, judge


@pytest.mark.slow
@pytest.mark.skipif(not EPISODES.exists(), reason="needs ../shared/data/recorded_math")
async def test_the_math_scorer_agrees_or_sees_through_another_spelling() -> None:
    pairs = await judge(list(episodes()))

    assert [pair for pair in pairs if pair.printed and not pair.ours] == []
    looser = [pair for pair in pairs if pair.ours and not pair.printed]
    assert all(pair.answer != pair.target for pair in looser)
    assert 300 <= sum(len(pair.dialogues) for pair in looser) <= 400
