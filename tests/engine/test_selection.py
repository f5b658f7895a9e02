"""Selection: which trajectories are learned from, whatever order they ended in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from funcforge.engine.episode import Episode, Failure, Job, Score
from funcforge.engine.errors import ConfigError
from funcforge.engine.judgement import Judgement, agreement_of, pooled
from funcforge.engine.messages import Message, ToolCall
from funcforge.engine.selection import (
    BestOfK,
    Margin,
    Selected,
    SelectionSettings,
    Strategy,
    Threshold,
    TopShare,
    Trajectory,
    make_strategy,
    merge,
    trajectories_of,
)


def episode(
    task_id: str, repeat: int = 0, *, text: str | None = None, call_id: str = "c"
) -> Episode:
    job = Job(evaluation="train/0", parameters_version="v", task_id=task_id, repeat=repeat)
    said = text if text is not None else f"way {repeat}"
    call = ToolCall(id=call_id, name="add", arguments='{"a": 1}')
    return Episode(
        id=job.episode_id,
        run_id="run",
        job=job,
        prompt=f"do {task_id}",
        messages=(
            Message(role="system", content="help"),
            Message(role="user", content=f"do {task_id}"),
            Message(role="assistant", content=said, tool_calls=(call,)),
            Message(role="tool", content="2", tool_call_id=call_id),
        ),
        answer="2",
        end="answered",
    )


def trajectory(task_id: str, repeat: int, score: float, **changes: str) -> Trajectory:
    one = episode(task_id, repeat, **changes)
    judgement = Judgement(episode_id=one.id, score=score, votes=(score,))
    return Trajectory(episode=one, judgement=judgement)


SAMPLES = (
    trajectory("a", 0, 0.2),
    trajectory("a", 1, 0.9),
    trajectory("a", 2, 0.8),
    trajectory("b", 0, 0.6),
    trajectory("b", 1, 0.6),
    trajectory("c", 0, 0.1),
    trajectory("c", 1, 0.3),
    trajectory("d", 0, 1.0),
)


def keys(chosen: Sequence[Trajectory]) -> list[str]:
    return [f"{t.episode.job.task_id}{t.episode.job.repeat}" for t in chosen]


def test_threshold_takes_every_trajectory_that_is_good_enough() -> None:
    assert keys(Threshold(minimum=0.6).select(SAMPLES).chosen) == ["a1", "a2", "b0", "b1", "d0"]


def test_best_of_k_takes_one_of_each_task_the_earlier_on_a_tie_and_none_that_is_bad() -> None:
    assert keys(BestOfK(minimum=0.5).select(SAMPLES).chosen) == ["a1", "b0", "d0"]


def test_top_share_takes_the_best_overall_with_a_cap_for_each_task() -> None:
    assert keys(TopShare(share=0.5, per_task=1, minimum=0).select(SAMPLES).chosen) == [
        "a1", "b0", "c1", "d0"
    ]  # fmt: skip
    assert keys(TopShare(share=0.375, per_task=2).select(SAMPLES).chosen) == ["a1", "a2", "d0"]
    assert keys(TopShare(share=0.01).select(SAMPLES).chosen) == ["d0"]
    assert TopShare(share=0.0).select(SAMPLES) == Selected()


def test_margin_pairs_the_best_with_the_worst_where_they_lie_apart() -> None:
    selected = Margin(margin=0.2).select(SAMPLES)

    assert [keys((pair.better, pair.worse)) for pair in selected.pairs] == [
        ["a1", "a0"],
        ["c1", "c0"],
    ]
    assert [round(pair.margin, 9) for pair in selected.pairs] == [0.7, 0.2]
    assert keys(selected.chosen) == ["a1", "c1"]
    assert keys(Margin(margin=0.2, minimum=0.5).select(SAMPLES).chosen) == ["a1"]


def test_a_margin_of_zero_makes_no_pair_of_equals() -> None:
    assert Margin(margin=0.0).select(SAMPLES[3:5]).pairs == ()


@pytest.mark.parametrize(
    "strategy", [Threshold(), BestOfK(), TopShare(per_task=2), Margin()], ids=lambda s: str(s)
)
def test_the_choice_does_not_depend_on_the_order_of_the_episodes(strategy: Strategy) -> None:
    expected = strategy.select(SAMPLES)

    for seed in range(20):
        shuffled = list(SAMPLES)
        random.Random(seed).shuffle(shuffled)
        assert strategy.select(shuffled) == expected


def test_equal_trajectories_are_merged_into_the_earliest_with_all_their_votes() -> None:
    same = [
        trajectory("a", repeat, score, text="same", call_id=f"id{repeat}")
        for repeat, score in ((2, 0.4), (0, 0.8), (1, 0.6))
    ]
    other = trajectory("b", 0, 0.5, text="same")

    merged = merge([*same, other])

    assert keys(merged) == ["a0", "b0"]
    assert merged[0].copies == 3
    assert merged[0].judgement.votes == (0.8, 0.6, 0.4)
    assert merged[0].score == pytest.approx(0.6)
    assert merged[0].judgement.agreement == pytest.approx(1 - (0.2 + 0.4 + 0.2) / 3)


def test_trajectories_that_differ_in_one_argument_are_not_merged() -> None:
    one, other = episode("a", 0, text="same"), episode("a", 1, text="same")
    call = ToolCall(id="c", name="add", arguments='{"a": 2}')
    changed = replace(
        other,
        messages=(
            *other.messages[:2],
            Message(role="assistant", content="same", tool_calls=(call,)),
            other.messages[3],
        ),
    )
    judged = Judgement(episode_id="x", score=0.5, votes=(0.5,))

    assert len(merge([Trajectory(episode=e, judgement=judged) for e in (one, other)])) == 1
    assert len(merge([Trajectory(episode=e, judgement=judged) for e in (one, changed)])) == 2


def test_the_signal_of_an_episode_is_the_critics_or_golds_and_failed_ones_are_left_out() -> None:
    judgement = Judgement(episode_id="x", score=0.7, votes=(0.6, 0.8), reason="good")
    by_critic = Score(value=0.7, by="critic", gold=0.0, judgement=judgement)
    by_gold = Score(value=0.0, by="gold", gold=0.0, judgement=judgement, comment="wrong")
    failure = Failure(kind="rate_limit", message="429")

    found = trajectories_of(
        [
            replace(episode("a"), score=by_critic),
            replace(episode("b"), score=by_gold),
            replace(episode("c"), failure=failure),
        ]
    )

    assert [(t.score, t.judgement.reason) for t in found] == [(0.7, "good"), (0.0, "wrong")]


def test_agreement_is_one_minus_the_mean_distance_of_two_votes() -> None:
    assert agreement_of([]) == agreement_of([0.3]) == agreement_of([0.3, 0.3]) == 1.0
    assert agreement_of([0.0, 1.0]) == 0.0
    assert agreement_of([0.0, 0.5, 1.0]) == pytest.approx(1 - 2 / 3)


def test_pooling_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no judgement"):
        pooled([])


def test_every_strategy_is_built_by_name_with_its_numbers() -> None:
    assert make_strategy(SelectionSettings(strategy="threshold", minimum=0.3)) == Threshold(
        minimum=0.3
    )
    assert make_strategy(SelectionSettings()) == BestOfK(minimum=0.5)
    assert make_strategy(
        SelectionSettings(strategy="top_share", share=0.1, per_task=3)
    ) == TopShare(share=0.1, per_task=3, minimum=0.5)
    assert make_strategy(SelectionSettings(strategy="margin", margin=0.4)) == Margin(
        margin=0.4, minimum=0.5
    )


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (SelectionSettings(minimum=1.2), "selection.minimum"),
        (SelectionSettings(share=-0.1), "selection.share"),
        (SelectionSettings(margin=float("nan")), "selection.margin"),
        (SelectionSettings(per_task=0), "selection.per_task"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(settings: SelectionSettings, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_strategy(settings)
    assert caught.value.key == key
