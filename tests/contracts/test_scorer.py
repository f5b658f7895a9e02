"""What every scorer keeps to."""

from __future__ import annotations

import copy

import anyio
import pytest
from funcforge.adapters.scorers.make import KINDS, FencedScorer, make_scorer
from funcforge.adapters.scorers.settings import ScorerSettings
from funcforge.engine.episode import Score
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.tasks import Task

from tests.adapters.scorers.episodes import episode

TASK = Task(id="t", prompt="p", target="4", metadata={"choices": ["3", "4"], "category": "x"})
NONSENSE = [
    "", " ", "4" * 5_000, "x" * 100_000, "\ud800", "\0", "{" * 5_000, "\\frac" * 2_000, "9/0",
    "1e400", "nan", "inf", "-" * 5_000, "(" * 5_000 + ")" * 5_000, "## " * 5_000, "=" * 5_000,
    "1," * 5_000, "5 " * 5_000, "A " * 5_000, "\\text{" * 3_000,
]  # fmt: skip


async def judge(scope: str, request: Request) -> Reply:
    """Finds "4" right."""
    right = "<answer>\n4\n</answer>" in request.messages[0].content
    text = f'{{"score": {int(right)}}}'
    return Reply(message=Message(role="assistant", content=text), finish="stop")


# api_bank judges calls, not answers: tests/adapters/environments/test_api_bank.py
@pytest.fixture(params=[kind for kind in KINDS if kind != "api_bank"])
def scorer(request: pytest.FixtureRequest) -> FencedScorer:
    """Each scorer."""
    kind: str = request.param
    model = "a/b" if kind == "model_graded" else None
    return make_scorer(ScorerSettings(kind=kind, model=model), judge)


async def test_the_target_itself_is_right_and_no_answer_is_wrong(scorer: FencedScorer) -> None:
    assert (await scorer(TASK, episode("4"))).value == 1
    assert (await scorer(TASK, episode(None))).value == 0


async def test_any_answer_gets_a_score_soon(scorer: FencedScorer) -> None:
    async with scorer:
        for answer in NONSENSE:
            with anyio.fail_after(60):
                score = await scorer(TASK, episode(answer))
            assert isinstance(score, Score)
            assert 0 <= score.value < 1, f"{answer[:20]!r}"


async def test_the_same_episode_gets_the_same_score(scorer: FencedScorer) -> None:
    assert await scorer(TASK, episode("5")) == await scorer(TASK, episode("5"))


async def test_task_and_episode_are_left_as_they_are(scorer: FencedScorer) -> None:
    task, finished = copy.deepcopy(TASK), episode("4")

    await scorer(task, finished)

    assert task == TASK
    assert finished == episode("4")


async def test_many_verdicts_at_once_do_not_mix(scorer: FencedScorer) -> None:
    values: dict[int, float] = {}

    async def score(number: int) -> None:
        values[number] = (await scorer(TASK, episode("4" if number % 2 else "3"))).value

    async with scorer, anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(score, number)

    assert values == {number: number % 2 for number in range(40)}
