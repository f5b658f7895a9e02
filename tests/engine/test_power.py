from __future__ import annotations

import pytest
from funcforge.engine.acceptances.climbing import Climbing
from funcforge.engine.errors import ConfigError
from funcforge.engine.power import plan


def test_a_large_budget_finds_smaller_gains() -> None:
    small, large = plan(80, 1, 2_000), plan(80, 1, 8_000)

    assert large.detectable_gain == pytest.approx(small.detectable_gain / 2, rel=0.01)


def test_a_fixed_test_takes_the_repeats_of_the_closed_form() -> None:
    # (z_0.99 + z_0.8)^2 * 2 * 0.08 / 0.1^2 = 160.6 pairs at one step's share of alpha
    _, ten = plan(80, 1, 2_000, alpha=0.1, steps=10, agreement=0.84).needs

    assert ten.gain == 0.1
    assert ten.repeats == 3


def test_half_the_gain_takes_four_times_the_episodes() -> None:
    five, ten = plan(80, 1, 2_000).needs

    assert five.candidate_episodes == pytest.approx(4 * ten.candidate_episodes, rel=0.01)


def test_a_budget_that_cannot_decide_is_named_beforehand() -> None:
    found = plan(20, 1, 60)

    assert not found.decides
    assert "cannot reach a decision" in found.message


def test_a_climb_proves_its_steps_together_on_what_the_screenings_leave() -> None:
    rich = plan(80, 1, 20_000, agreement=0.84, climb=Climbing())
    poor = plan(80, 1, 300, steps=10, climb=Climbing())

    assert rich.step_episodes == 256
    assert rich.detectable_gain == pytest.approx(0.9 * 0.14)  # what looks like half is given up
    assert "(acceptance_options.gain = 0.05)" in rich.message
    assert poor.step_episodes == (300 - 10 * 16) / 2.5
    assert "all promising steps together" in poor.message
    assert not plan(80, 1, 170, steps=10, climb=Climbing()).decides


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"tasks": 1}, "tasks"),
        ({"repeats": 0}, "repeats"),
        ({"budget": 0}, "budget"),
        ({"alpha": 1.0}, "alpha"),
        ({"steps": 0}, "steps"),
        ({"agreement": 0.3}, "agreement"),
        ({"power": 1.0}, "power"),
    ],
)
def test_wrong_numbers_are_refused_by_name(change: dict, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"plan\.{key}"):
        plan(**{"tasks": 80, "repeats": 1, "budget": 1000, **change})
