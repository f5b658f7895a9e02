"""Optimizers that ask a model learn from a critic's verdicts as from gold scores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from funcforge.engine.episode import Episode, Score
from funcforge.engine.judgement import Judgement
from funcforge.engine.messages import Message, Reply
from funcforge.engine.optimizer import Optimizer
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.optimizers.instructions import (
    InstructionOptimizer,
    InstructionOptimizerSettings,
)

from tests.engine.optimizers.desk import TERMINATE, Desk, calls, episode, situation

REASON = "the token was made up"
FUNCTIONS = FunctionOptimizer(FunctionOptimizerSettings(model="test/model"))
INSTRUCTIONS = InstructionOptimizer(InstructionOptimizerSettings(model="test/model"))
WRITTEN = Reply(
    message=Message(role="assistant", content="<instructions>Log in.</instructions>"), finish="stop"
)


def judged(task_id: str, score: float) -> Episode:
    one = episode(task_id)
    judgement = Judgement(episode_id=one.id, score=score, votes=(score,), reason=REASON)
    verdict = Score(value=score, comment=REASON, by="critic", judgement=judgement)
    return replace(one, score=verdict)


@pytest.mark.parametrize("comments", [True, False])
@pytest.mark.parametrize(
    ("optimizer", "reply"), [(FUNCTIONS, calls(TERMINATE)), (INSTRUCTIONS, WRITTEN)]
)
async def test_the_critics_scores_and_reasons_stand_where_golds_would(
    optimizer: Optimizer, reply: Reply, comments: bool
) -> None:
    where = situation(judged("t1", 0.35), judged("t2", 1.0))
    where = replace(where, batch=replace(where.batch, comments=comments))
    desk = Desk(reply)

    await optimizer.propose(optimizer.init(), where, desk)

    prompt = desk.asked[0].messages[1].content
    assert "score=0.35 id=t1" in prompt
    assert "solved=1" in prompt
    assert (REASON in prompt) == comments
