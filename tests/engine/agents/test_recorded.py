"""Real dialogues, played: the agents take their turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from funcforge.engine.agent import Agent
from funcforge.engine.agents.react import ReactAgent
from funcforge.engine.agents.tool_calling import ToolCallingAgent

from benchmarks.recorded_dialogues import EPISODES, episodes, play

pytestmark = pytest.mark.skipif(not EPISODES.exists(), reason="needs ../shared/data/recorded_math")


@pytest.mark.parametrize("make", [ToolCallingAgent, ReactAgent])
async def test_nearly_all_dialogues_take_the_same_turns_to_the_same_answer(
    make: Callable[[], Agent],
) -> None:
    plays = [await play(row, make) for row in episodes()]

    same = [each for each in plays if each.same_turns and each.same_answer]
    assert len(same) >= 0.99 * len(plays)
    # what differs is endless repetition, or an answer beside code when the turns ran out
    rest = {each.end for each in plays if not (each.same_turns and each.same_answer)}
    assert rest <= {"repetition", "turns"}
