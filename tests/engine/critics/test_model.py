"""A model as critic: votes, bad replies, comparisons."""

from __future__ import annotations

import json
from typing import Any

import pytest
from funcforge.engine.budget import Budget, Caps
from funcforge.engine.critic import Preference
from funcforge.engine.critics.model import CriticSettings, ModelCritic
from funcforge.engine.critics.verdicts import read_vote
from funcforge.engine.errors import (
    BudgetExhausted,
    ConfigError,
    CriticError,
    InvalidReply,
    RequestRefused,
    TransientModelError,
)
from funcforge.engine.messages import Message, Reply, Request

from tests.engine.critics.material import (
    NAMES,
    CriticModel,
    desk,
    episode,
    script,
    take_apart,
    task,
    verdict,
)


def critic(model: CriticModel, calls: Any = None, **changes: Any) -> ModelCritic:
    settings = CriticSettings(model="test/critic", **changes)
    return ModelCritic(settings, calls or desk(model))


async def test_a_judgement_is_the_mean_of_the_votes_with_their_agreement() -> None:
    by_seed = {100: 2, 101: 4, 102: 9}
    model = CriticModel(lambda request: verdict(by_seed[request.seed], reason=str(request.seed)))

    judgement = await critic(model, votes=3, seed=100).judge(task(), episode())

    assert judgement.episode_id == episode().id
    assert judgement.votes == (0.2, 0.4, 0.9)
    assert judgement.score == pytest.approx(0.5)
    assert judgement.dimensions == {name: pytest.approx(0.5) for name in NAMES}
    assert judgement.agreement == pytest.approx(1 - (0.2 + 0.5 + 0.7) / 3)
    assert judgement.reason == "101"  # of the vote nearest to the mean


async def test_one_vote_is_cold_and_several_are_warm() -> None:
    alone, several = CriticModel(), CriticModel()

    await critic(alone).judge(task(), episode())
    await critic(several, votes=2).judge(task(), episode())
    await critic(several, votes=2, temperature=0.3).judge(task(), episode())

    assert [request.temperature for request in alone.asked] == [0.0]
    assert [request.temperature for request in several.asked] == [0.7, 0.7, 0.3, 0.3]
    assert {request.seed for request in several.asked} == {None}


BAD = [
    ("This trajectory is excellent, ten out of ten!", "no JSON object"),
    ("I'm sorry, but I can't judge this.", "no JSON object"),
    ("", "no JSON object"),
    ('{"score": 7', "no JSON object"),
    ("{" * 3_000, "no JSON object"),
    ('["score"]', "no JSON object"),
    ('{"score": 7}', '"dimensions" must be an object'),
    (verdict(7, dimensions={"goal": 7}), "missing: calls"),
    (verdict(7, dimensions={**dict.fromkeys(NAMES, 7), "style": 7}), "unknown: style"),
    (verdict(11), "must be a number from 0 to 10"),
    (verdict(-1), "must be a number from 0 to 10"),
    (verdict(7, score="7"), "must be a number from 0 to 10"),
    (verdict(7, score=True), "must be a number from 0 to 10"),
    (verdict(7, score=float("nan")), "must be a number from 0 to 10"),
    (verdict(2, score=9), "contradicts itself"),
    (verdict(9, score=2), "contradicts itself"),
    (f"{verdict(2)} On second thought: {verdict(9)}", "contradict each other"),
]


@pytest.mark.parametrize(("reply", "told"), BAD)
async def test_a_reply_that_is_no_verdict_goes_back_with_the_reason(reply: str, told: str) -> None:
    model = CriticModel(script([reply, verdict(6)]))

    judgement = await critic(model).judge(task(), episode())

    assert judgement.score == 0.6
    echoed, objection = model.asked[1].messages[-2:]
    assert (echoed.role, objection.role) == ("assistant", "user")
    assert told in objection.content
    assert "Reply with one JSON object" in objection.content


@pytest.mark.parametrize(
    "text",
    [
        verdict(6),
        f"```json\n{verdict(6)}\n```",
        f"Thinking {{about}} it: {verdict(6)} Done.",
        f"{verdict(6)}\n{verdict(6)}",
        json.dumps({"verdict": json.loads(verdict(6))}) + verdict(6),
    ],
)
def test_a_verdict_is_found_among_prose_and_said_twice_it_is_one(text: str) -> None:
    reply = Reply(message=Message(role="assistant", content=text), finish="stop")

    assert read_vote(reply, NAMES).score == 0.6


def test_a_verdict_that_was_cut_off_is_none() -> None:
    reply = Reply(message=Message(role="assistant", content=verdict(6)), finish="length")

    with pytest.raises(InvalidReply, match="cut off"):
        read_vote(reply, NAMES)


async def test_a_critic_that_never_keeps_to_the_form_is_a_failed_system_not_a_zero() -> None:
    model = CriticModel(lambda request: "Wonderful.")

    with pytest.raises(CriticError, match=r"valid verdict in 0 of 4 votes.*no JSON object"):
        await critic(model, votes=4, tries=3).judge(task(), episode())
    assert len(model.asked) == 12


@pytest.mark.parametrize(("bad", "judged"), [(1, True), (2, False), (3, False)])
async def test_more_than_half_of_the_votes_must_be_valid(bad: int, judged: bool) -> None:
    model = CriticModel(lambda r: "Wonderful." if (r.seed or 0) < bad else verdict(r.seed))
    judging = critic(model, votes=4, seed=0, tries=2).judge(task(), episode())

    if judged:
        assert (await judging).votes == (0.1, 0.2, 0.3)
    else:
        with pytest.raises(CriticError):
            await judging


async def test_a_provider_that_refuses_the_prompt_is_not_asked_the_same_again() -> None:
    refused = RequestRefused("filtered", kind="content_filter", model="test/critic")
    model = CriticModel(lambda request: refused)

    with pytest.raises(CriticError, match="refused the prompt"):
        await critic(model).judge(task(), episode())
    assert len(model.asked) == 1


async def test_a_reply_that_the_providers_filter_cut_is_no_vote() -> None:
    with pytest.raises(CriticError, match="content filter"):
        await critic(CriticModel(finish="content_filter")).judge(task(), episode())


async def test_a_trajectory_longer_than_the_context_is_cut_and_marked() -> None:
    model = CriticModel(lambda request: verdict(5), context_tokens=4_000)

    judgement = await critic(model).judge(task(), episode(result="r" * 100_000))

    assert judgement.cut
    assert model.asked[0].token_bound() <= 3 * 4_000  # three bytes a token
    assert "characters left out" in model.asked[0].messages[1].content


async def test_where_the_provider_still_says_too_long_it_is_asked_with_less() -> None:
    too_long = RequestRefused("too long", kind="context_too_long", model="test/critic")
    model = CriticModel(
        lambda r: too_long if len(r.messages[1].content) > 9_000 else verdict(5),
        context_tokens=20_000,
    )

    judgement = await critic(model).judge(task(), episode(result="r" * 100_000))

    assert judgement.cut
    sizes = [len(request.messages[1].content) for request in model.asked]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) > 1


async def test_a_vote_that_was_paid_for_is_not_asked_again_in_another_attempt() -> None:
    down = TransientModelError("overloaded", kind="overloaded", model="test/critic")
    fails = {2}

    def answer(request: Request) -> Any:
        assert request.seed is not None
        return down if request.seed in fails else verdict(request.seed)

    model = CriticModel(answer)
    judge = critic(model, votes=4, seed=0)
    with pytest.raises(TransientModelError):
        await judge.judge(task(), episode())
    fails.clear()

    judgement = await judge.judge(task(), episode())

    assert judgement.votes == (0.0, 0.1, 0.2, 0.3)
    assert sorted(request.seed or 0 for request in model.asked) == [0, 1, 2, 2, 3]


async def test_the_critic_pays_from_the_runs_budget() -> None:
    model = CriticModel()
    calls = desk(model, budget=Budget(Caps(calls=5)))

    with pytest.raises(BudgetExhausted):
        await critic(model, calls, votes=16).judge(task(), episode())
    assert len(model.asked) == 5


def says_the_longer_is_better(request: Request) -> str:
    blocks = take_apart(request.messages[1].content).blocks
    first, second = (len(body) for kind, _, body in blocks if kind == "ANSWER")
    better = "tie" if first == second else "first" if first > second else "second"
    return json.dumps({"reason": "longer", "better": better})


@pytest.mark.parametrize(
    ("a", "b", "better"), [("long", "x", "a"), ("x", "long", "b"), ("x", "y", None)]
)
async def test_a_preference_is_what_both_orders_say(a: str, b: str, better: Any) -> None:
    model = CriticModel(says_the_longer_is_better)

    preference = await critic(model).prefer(task(), episode(answer=a), episode(answer=b, repeat=1))

    assert preference == Preference(better=better, consistent=True, reason="longer")
    assert len(model.asked) == 2


async def test_a_critic_that_always_prefers_the_first_prefers_nothing() -> None:
    model = CriticModel(lambda request: '{"reason": "it came first", "better": "first"}')

    preference = await critic(model).prefer(task(), episode(), episode(repeat=1))

    assert preference == Preference(better=None, consistent=False, reason="it came first")


async def test_a_comparison_in_no_form_goes_back_and_fails_in_the_end() -> None:
    model = CriticModel(lambda request: '{"better": "the left one"}')

    with pytest.raises(CriticError, match="compared nothing in 3 replies"):
        await critic(model).prefer(task(), episode(), episode(repeat=1))
    assert len(model.asked) == 3
    assert '"first", "second" or "tie"' in model.asked[1].messages[-1].content


@pytest.mark.parametrize("wrong", [{"votes": 0}, {"tries": 0}, {"reply_tokens": 0}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        critic(CriticModel(), **wrong)
