"""What people see while a run goes on: folded state, plain lines, the panel."""

from __future__ import annotations

import io
import traceback
from dataclasses import replace
from typing import Any

import pytest
from funcforge.adapters.views.live import LiveView
from funcforge.adapters.views.plain import PlainView
from funcforge.adapters.views.text import duration, gist, one_line, printable, usd
from funcforge.adapters.views.tracking import RunState
from funcforge.engine.events import EditProposed, LimitChanged, StepStarted
from funcforge.engine.functions import Function
from funcforge.engine.parameters import AddFunction
from rich.console import Console

from tests.adapters.views.happenings import (
    EMPTY,
    LEARNED,
    decided,
    episode,
    finished,
    started,
    whole_run,
)


def follow(*events: Any, deciding: str = "train") -> RunState:
    state = RunState(in_flight_limit=8, deciding=deciding)
    for event in events:
        state.follow(event)
    return state


async def plain(*events: Any) -> str:
    stream = io.StringIO()
    view = PlainView(stream)
    for event in events:
        await view.handle(event)
    return stream.getvalue()


def test_a_running_evaluation_shows_its_accuracy_so_far() -> None:
    state = follow(
        started("train/0", EMPTY, 10),
        *(episode("train/0", EMPTY, n, float(n < 2)) for n in range(4)),
    )

    assert state.incumbent is not None
    assert state.incumbent.score == 0.5
    assert 0.1 < state.incumbent.low < 0.2
    assert state.phase == "evaluating train/0"


def test_failed_episodes_are_counted_and_left_out_of_accuracy() -> None:
    state = follow(
        started("train/0", EMPTY, 4),
        episode("train/0", EMPTY, 0, 1.0),
        episode("train/0", EMPTY, 1, None),
    )

    assert (state.failed, state.episodes) == (1, 2)
    assert state.incumbent is not None
    assert state.incumbent.score == 1.0


def test_an_accepted_candidate_becomes_the_incumbent() -> None:
    state = follow(*whole_run())

    assert state.incumbent is not None
    assert state.incumbent.score == 0.75
    assert state.candidate is None
    assert state.functions == ("rate",)
    assert (state.accepted, state.rejected) == (1, 0)
    assert state.test_before is not None
    assert state.test_after is not None
    assert (state.test_before.score, state.test_after.score) == (0.0, 1.0)


def test_a_rolled_back_candidate_leaves_the_incumbent() -> None:
    state = follow(
        finished("train/0", EMPTY, 0.25),
        StepStarted(run_id="r1", step=1, incumbent_version=EMPTY.version),
        started("train/1", LEARNED, 4),
        finished("train/1", LEARNED, 0.2),
        decided(1, "rolled_back"),
    )

    assert (state.accepted, state.rejected) == (0, 1)
    assert state.candidate is None
    assert state.incumbent_version == EMPTY.version


def test_waves_of_a_step_count_together_and_the_decision_says_the_score() -> None:
    state = follow(
        finished("train/0", EMPTY, 0.25),
        StepStarted(run_id="r1", step=1, incumbent_version=EMPTY.version),
        started("train/1", LEARNED, 4),
        *(episode("train/1", LEARNED, n, 1.0) for n in range(4)),
        finished("train/1", LEARNED, 1.0),
        started("train/1.2", LEARNED, 4),
        *(episode("train/1.2", LEARNED, n, 0.0) for n in range(4)),
        finished("train/1.2", LEARNED, 0.0),
        started("train/1.3", LEARNED, 1),
        episode("train/1.3", LEARNED, 0, None),
        replace(finished("train/1.3", LEARNED, 0.0, failed=1), tasks=0, episodes=0),
    )
    assert state.candidate is not None
    assert (state.candidate.score, state.candidate.tasks) == (0.5, 8)

    end = decided(1, "accepted")
    state.follow(replace(end, score_low=0.6, score_high=0.9, details={"tasks": 6}))

    assert state.incumbent is not None
    assert (state.incumbent.score, state.incumbent.low, state.incumbent.tasks) == (0.75, 0.6, 6)


async def test_a_wave_that_failed_as_a_whole_has_no_score() -> None:
    end = replace(finished("train/1.3", LEARNED, 0.0, failed=1), tasks=0, episodes=0)

    assert "no score on 0 tasks, 1 failed" in await plain(end)


def test_only_the_deciding_split_is_shown_as_accuracy() -> None:
    state = follow(
        started("train/0", EMPTY, 4),
        started("validation/0", EMPTY, 4),
        finished("validation/0", EMPTY, 0.5),
        finished("train/0", EMPTY, 0.25),
        deciding="validation",
    )

    assert state.incumbent is not None
    assert state.incumbent.score == 0.5


def test_in_flight_is_bounded_by_the_limit_and_by_what_is_left() -> None:
    state = follow(started("train/0", EMPTY, 10))
    assert state.in_flight == 8

    state.follow(LimitChanged(run_id="r1", account="a", in_flight_limit=3, reason="429"))
    assert state.in_flight == 3

    for number in range(9):
        state.follow(episode("train/0", EMPTY, number, 1.0))
    assert state.in_flight == 1


def test_the_rate_and_the_eta_come_from_the_last_seconds() -> None:
    events = [episode("train/0", EMPTY, n, 1.0, at=100.0 + n) for n in range(20)]
    state = follow(started("train/0", EMPTY, 40, at=100.0), *events)
    state.started_at_unix_s = 100.0

    assert state.episodes_per_s(120.0) == pytest.approx(1.0)
    assert state.eta_s(120.0) == pytest.approx(20.0)
    assert state.eta_s(500.0) is None


async def test_plain_lines_tell_the_run() -> None:
    text = await plain(*whole_run())

    assert text.splitlines() == [
        "run r1 (quick) started, sandbox bubblewrap",
        "  test/before: 0.0 % [0.0, 10.0] on 4 tasks",
        "  train/0: 25.0 % [15.0, 35.0] on 4 tasks",
        "  step 1: add rate",
        "  step 1: no readable edit: refused: no call in the reply",
        "  train/1: 75.0 % [65.0, 85.0] on 4 tasks",
        "step 1 accepted 25.0 % → 75.0 %: 3 of 4 solved instead of 1",
        "  test/after: 100.0 % [90.0, 100.0] on 4 tasks",
        "done (epochs); 1 call, 110 tokens, 0.002 USD, 3.0 s",
    ]


async def test_each_kind_of_failure_is_told_once() -> None:
    failed = [episode("train/0", EMPTY, number, None) for number in range(3)]

    assert await plain(*failed) == (
        "  an episode failed: overloaded: 503 (more of this kind are only counted)\n"
    )


async def test_plain_lines_survive_a_stream_that_knows_ascii_only() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    view = PlainView(stream)

    await view.handle(decided(1, "accepted"))

    stream.seek(0)
    assert "25.0 % ? 75.0 %" in stream.read()


async def test_the_unsafe_sandbox_is_named_and_red() -> None:
    assert "UNSAFE" in await plain(*whole_run("unsafe"))

    drawn = draw(*whole_run("unsafe"))
    assert "\x1b[1;31m" in drawn
    assert "UNSAFE" in drawn


async def test_a_models_text_cannot_steer_the_terminal() -> None:
    evil = Function(name="\x1b[2J\u202eevil", description="", arguments={}, code="")
    event = EditProposed(
        run_id="r", step=1, action=0, edit=AddFunction(function=evil), refused="a\x07\nb"
    )

    text = await plain(event)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("\n") == 1


async def test_the_panel_follows_events_and_goes_away() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)

    async with LiveView(console, RunState(in_flight_limit=8), epochs=10, patience=2) as view:
        for event in whole_run():
            await view.handle(event)

    text = file.getvalue()
    assert "step 1 accepted 25.0 % → 75.0 %" in text
    assert text.endswith("\x1b[2K") or "\x1b[?25h" in text  # the cursor is back


def test_the_panel_shows_what_the_issue_asks_for() -> None:
    text = draw(*whole_run()[:12], colour=False)

    assert "quick" in text
    for word in ("incumbent", "candidate", "episodes/s", "in flight", "failed", "tokens", "USD"):
        assert word in text
    assert "accepted 0 of 10" in text


def draw(*events: Any, colour: bool = True) -> str:
    console = Console(file=io.StringIO(), force_terminal=colour, width=120)
    view = LiveView(console, follow(*events), epochs=10, patience=2)
    console.print(view.draw())
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_traceback_is_told_by_its_exception() -> None:
    raised = "no score: the scorer raised on task 5:\n"
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("a target\nof two lines") from error
    except ValueError:
        raised += traceback.format_exc()

    assert gist(raised) == (
        "no score: the scorer raised on task 5: ValueError: a target of two lines"
    )
    assert gist("no frames here") == "no frames here"


def test_numbers_are_spelled_for_people() -> None:
    assert [duration(s) for s in (0.0123, 9.87, 75, 3700)] == [
        "12 ms", "9.9 s", "1:15 min", "1:01:40",
    ]  # fmt: skip
    assert [usd(amount) for amount in (0, 0.00123456, 1234.5)] == [
        "0 USD", "0.00123 USD", "1,234.50 USD",
    ]  # fmt: skip
    assert one_line("a\n\tb" * 10, 6) == "a ba …"
    assert printable("a\x00b\ud800c", keep="") == "a\ufffdb\ufffdc"


def test_a_comparison_shows_its_arms() -> None:
    state = follow(
        started("arm/one", EMPTY, 10),
        started("arm/two", EMPTY, 10),
        finished("arm/one", EMPTY, 0.75),
        episode("arm/two", EMPTY, 1, 1.0),
    )

    console = Console(file=io.StringIO(), width=120)
    console.print(LiveView(console, state).draw())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "75.0 % [65.0, 85.0]" in shown
    assert "incumbent" not in shown
    assert {arm: found.score for arm, found in state.arms.items() if found} == {
        "one": 0.75,
        "two": 1,
    }
    assert state.in_flight == 8
