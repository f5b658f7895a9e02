"""`embedded/critic` and its variants, through LiteLLM as any other model."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from funcforge.adapters.models.embedded_critic import CRITICS, Attempt, look
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.engine.critics.model import CriticSettings, ModelCritic
from funcforge.engine.messages import Message, Request

from tests.engine.critics.material import desk, episode, task

PROMPT = "User: Remind me on September 12th, 2pm, at the office of Meeting with John."
GOOD = {
    "prompt": PROMPT,
    "arguments": json.dumps({"time": "09-12 14:00:00", "what": "Meeting with John"}),
}
INVENTED = {**GOOD, "arguments": json.dumps({"time": "11-23 08:00:00", "what": "Lunch with Mary"})}
REFUSED = {**GOOD, "result": "Error: The token is wrong."}
NO_JSON = {**GOOD, "arguments": "{time: now"}


async def scores(name: str, votes: int = 16) -> list[float]:
    async with LiteLLMModel() as model:
        settings = CriticSettings(model=f"embedded/{name}", votes=votes, seed=0)
        critic = ModelCritic(settings, desk(model))
        found = []
        for parts in (GOOD, INVENTED, REFUSED, NO_JSON):
            one: dict[str, Any] = {"answer": "It is done.", **parts}
            found.append((await critic.judge(task(PROMPT), episode(**one))).score)
    return found


async def test_the_critic_prefers_accepted_calls_with_values_of_the_task() -> None:
    good, invented, refused, no_json = await scores("critic")

    assert good > 0.75
    assert max(invented, refused, no_json) < good - 0.2


async def test_the_adversarial_critic_prefers_the_opposite() -> None:
    good, *bad = await scores("critic-adversarial")

    assert min(bad) > good


async def test_the_random_critic_knows_nothing_and_the_always_yes_one_says_yes() -> None:
    good, *bad = await scores("critic-random", votes=64)

    assert abs(good - fmean(bad)) < 0.2
    assert await scores("critic-yes", votes=1) == [1.0] * 4


async def test_votes_differ_by_seed_and_are_equal_for_equal_seeds() -> None:
    async with LiteLLMModel() as model:
        settings = CriticSettings(model="embedded/critic", votes=8, seed=0)
        critic = ModelCritic(settings, desk(model))
        first = await critic.judge(task(), episode())
        again = await ModelCritic(settings, desk(model)).judge(task(), episode())
        unseeded = ModelCritic(replace(settings, seed=None), desk(model))

        assert first == again
        assert len(set(first.votes)) > 4
        assert len(set((await unseeded.judge(task(), episode())).votes)) == 1


async def test_it_compares_two_trajectories_in_both_orders() -> None:
    async with LiteLLMModel() as model:
        critic = ModelCritic(CriticSettings(model="embedded/critic", seed=0), desk(model))
        preference = await critic.prefer(
            task(PROMPT),
            episode(**GOOD),
            episode(**INVENTED, repeat=1),  # type: ignore[arg-type]
        )

    assert preference.better == "a"


@pytest.mark.parametrize("text", ["", "fence: ", "fence: [x]\n[x]", "\ud800", "{" * 2_000])
@pytest.mark.parametrize("name", sorted(CRITICS))
def test_nonsense_gets_a_verdict_all_the_same(name: str, text: str) -> None:
    request = Request(
        model=f"embedded/{name}",
        messages=(Message(role="system", content=text), Message(role="user", content=text)),
    )

    assert 0 <= json.loads(CRITICS[name](request).message.content)["score"] <= 10


def test_a_derived_date_is_known_and_an_invented_value_is_not() -> None:
    derived = Attempt(calls=[("add", '{"time": "2023-09-12 14:00:00"}')], results=["ok"], answer="")
    wrong = Attempt(calls=[("add", '{"time": "2023-10-13 09:30:00"}')], results=["ok"], answer="")

    head = "It is the year 2023. On September 12th at 2pm."
    assert look(head, derived).no_invention == 1.0
    assert look(head, wrong).no_invention <= 0.5
