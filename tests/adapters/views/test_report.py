"""The terminal curve, the diffs and the HTML report of a run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from funcforge.adapters.views.curve import curve
from funcforge.adapters.views.diff import changes
from funcforge.adapters.views.report import render_report
from funcforge.adapters.views.story import Cost, EditLine, Scored, Step, Story
from funcforge.engine.parameters import Parameters
from funcforge.engine.usage import Usage
from funcforge.storage.records import FunctionUse, FunctionVersion, SealedTest

from tests.adapters.views.happenings import EMPTY, LEARNED, RATE

HOSTILE = '<script>alert(1)</script><img src="https://example.com/x">" onload="y \x1b[2J \ud800'


def scored(evaluation: str, score: float) -> Scored:
    return Scored(
        evaluation=evaluation, version="v", score=score, low=score / 2, high=(1 + score) / 2,
        tasks=40, failed=0,
    )  # fmt: skip


def step(number: int, outcome: str, score: float | None, candidate: Parameters = LEARNED) -> Step:
    return Step(
        step=number, outcome=outcome, reason=HOSTILE, incumbent=EMPTY, candidate=candidate,
        incumbent_score=0.25, score=score, incumbent_low=0.1, incumbent_high=0.4,
        score_low=0.2, score_high=0.9, usage=Usage(cost_pusd=500_000_000_000), effect=0.5, low=-0.1,
        high=0.9, p_value=0.0312, episodes=40,
        edits=(EditLine(text="add rate"), EditLine(text="no readable edit", refused=HOSTILE)),
    )  # fmt: skip


def story(**changed: object) -> Story:
    told = Story(
        run_id="r1", kind="train", name=HOSTILE, status="done", stopped_by="patience",
        message=HOSTILE, created_at_unix_s=1.7e9, seconds=12.0, sandbox="bubblewrap", seed=7,
        config={"agent": {"instructions": HOSTILE}}, initial=EMPTY, final=LEARNED,
        before={"train": scored("train/0", 0.25), "test": scored("test/before", 0.3)},
        after={"train": scored("train/2", 0.75), "test": scored("test/after", 0.9)},
        steps=(step(1, "rolled_back", 0.2), step(2, "accepted", 0.75), step(3, "unchanged", None)),
        tests={0: scored("test/before", 0.3), 3: scored("test/after", 0.9)},
        uses={"rate": FunctionUse(
            name="rate", function_hash=RATE.hash, calls=12, outcomes={"value": 11, "timeout": 1},
            elapsed_s=1.0, episodes=10, solved=9, failed=0, solved_share=0.9, solved_low=0.6,
            solved_high=0.98,
        )},
        sealed_test=SealedTest(
            before=0.3, after=0.9, effect=0.6, low=0.31, high=0.72, p_value=0.00123, tasks=40,
            dropped=1, won=26, lost=2,
        ),
        costs=(Cost(part="agent", usage=Usage(calls=1234, prompt_tokens=5678)),),
        usage=Usage(calls=1234, prompt_tokens=5678, cost_pusd=2_500_000_000_000),
    )  # fmt: skip
    return replace(told, **changed)  # type: ignore[arg-type]


class Page(HTMLParser):
    """Collects what a browser would act on."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_the_report_is_one_file_that_asks_for_nothing(kind: str) -> None:
    html = render_report(story(kind=kind))

    page = read(html)
    assert page.open == []
    assert page.links == ["data:,"]
    assert page.handlers == []
    assert not {"script", "img", "iframe", "object"} & set(page.tags)
    assert "default-src 'none'" in html
    assert not re.search(r"url\(|@import", html)


def test_texts_of_models_are_shown_not_obeyed() -> None:
    html = render_report(story())

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "\x1b" not in html
    html.encode("utf-8")


def test_the_report_tells_what_the_run_did() -> None:
    html = render_report(story())

    for text in (
        "90.0 %", "from 30.0 %", "rolled back", "accepted", "p = 0.0312", "+60.0 points",
        "+60.0 points [+31.0, +72.0], p = 0.00123 on 40 tasks (26 better, 2 worse, 1 left out)",
        "25.0 % [10.0, 40.0] → 75.0 % [20.0, 90.0]", "90.0 % [60.0, 98.0]", "40, 0.5 USD",
        "1,234", "5,678", "2.50 USD", "rate added", "def rate(km, h):", "stopped by patience",
    ):  # fmt: skip
        assert text in html, text


def test_the_report_tells_every_version_of_every_function() -> None:
    use = FunctionUse(
        name="rate", function_hash=RATE.hash, calls=12, outcomes={"value": 9, "timeout": 3},
        elapsed_s=1.2, episodes=10, solved=9, failed=0, tasks=7, tasks_solved=4, slowest_s=0.5,
        last_used="train/2", last_used_unix_s=1.0,
    )  # fmt: skip
    older = replace(RATE, name=HOSTILE, code=HOSTILE)
    ledger = (
        FunctionVersion(function=older, proposed_in=1),
        FunctionVersion(function=RATE, predecessor="0123456789", proposed_in=1, accepted_in=2,
                        in_result=True, use=use),
    )  # fmt: skip

    html = render_report(story(ledger=ledger))

    assert read(html).open == []
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in html.split("<tr>") if "–" in row]
    told = [row for row in rows if len(row) == 10]
    assert told == [
        [older.hash[:8], "rolled back", "step 1", "0", "0", "–", "0", "0", "never", "–"]
    ]
    assert (
        f"{RATE.hash[:8]}</td><td>in use</td><td>step 1, revises 01234567, accepted in step 2"
        in html
    )
    for cell in ("3 timeout", "100 ms", ">4<", ">3<", "train/2"):
        assert cell in html, cell


def test_the_unsafe_sandbox_stands_on_top_in_red() -> None:
    assert 'class="unsafe" role="alert"' in render_report(story(sandbox="unsafe"))
    assert 'role="alert"' not in render_report(story())


def test_a_run_that_stopped_early_still_has_a_report() -> None:
    html = render_report(story(steps=(), before={}, after={}, tests={}, uses={}, costs=()))

    assert "Learning curve" not in html
    assert read(html).open == []


def test_a_long_run_has_few_labels() -> None:
    steps = tuple(step(number, "rolled_back", 0.1, EMPTY) for number in range(1, 201))

    html = render_report(story(steps=steps, tests={}))

    assert html.count('class="mark rolled_back"') == 200
    labels = html.partition('<div class="x">')[2].partition("</div>")[0]
    assert labels.count("<span") <= 11


def test_the_curve_marks_each_step_at_its_score() -> None:
    rows = ["".join(cell.text for cell in row) for row in curve(story(), 60)]

    assert rows[0].startswith(" 100 ┤")
    assert rows[8] == "  20 ┤───×──      "
    assert "●" in rows[2] or "●" in rows[3]
    assert sum(row.count("×") for row in rows) == 1
    assert sum(row.count("◆") for row in rows) == 2
    assert rows[-1].split() == ["step", "0", "1", "2", "3"]


def test_the_curve_of_a_long_run_shows_the_last_steps() -> None:
    steps = tuple(step(number, "rolled_back", 0.1) for number in range(1, 101))

    rows = ["".join(cell.text for cell in row) for row in curve(story(steps=steps), 40)]

    assert all(len(row) <= 40 for row in rows)
    assert rows[-1].split()[-1] == "100"


def test_nothing_to_plot_plots_nothing() -> None:
    assert curve(story(steps=()), 60) == []
    assert curve(story(before={}), 60) == []


def test_a_diff_shows_what_the_agent_is_told_and_the_code() -> None:
    revised = replace(RATE, code="def rate(km, h):\n    return round(km / h, 2)\n")
    old = Parameters(functions=(RATE,), instructions="a")
    new = Parameters(functions=(revised,), instructions="b")

    code, instructions = changes(old, new)

    assert (code.title, instructions.title) == ("rate revised", "instructions revised")
    shown = [(line.kind, line.text) for line in code.lines if line.kind in ("add", "remove")]
    assert shown == [
        ("remove", "-    return km / h"),
        ("add", "+    return round(km / h, 2)"),
    ]


def test_added_and_removed_functions_are_named_so() -> None:
    assert [change.title for change in changes(EMPTY, LEARNED)] == ["rate added"]
    assert [change.title for change in changes(LEARNED, EMPTY)] == ["rate removed"]
    assert changes(LEARNED, LEARNED) == []


def test_a_huge_function_gives_a_bounded_diff() -> None:
    huge = replace(RATE, code="x = 1\n" * 100_000)

    (change,) = changes(EMPTY, Parameters(functions=(huge,)))

    assert len(change.lines) < 2_100
    assert "not shown" in change.lines[-1].text
