from __future__ import annotations

import time

import pytest
from funcforge.adapters.scorers.make import RuleScorer
from funcforge.adapters.scorers.rules import (
    Rule,
    exact,
    gaia,
    multiple_choice,
    numeric,
    rouge_l,
    text_overlap,
)
from funcforge.engine.errors import ScorerError
from funcforge.engine.tasks import Task

from tests.adapters.scorers.episodes import episode

TASK = Task(id="t", prompt="p")
CHOICE = Task(id="t", prompt="p", metadata={"choices": ["red", "dark red", "blue", "A"]})


def value(rule: Rule, answer: str, target: str, task: Task = TASK) -> float:
    return rule(answer, target, task).value


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [("yes", " yes\n", 1), ("Yes", "yes", 0), ("é", "e\u0301", 1), ("", "yes", 0), ("1.0", "1", 0)],
)
def test_exact_compares_text(answer: str, target: str, right: int) -> None:
    assert value(exact, answer, target) == right


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [
        ("1,080", "1080", 1),
        ("$1,080.00", "1080", 1),
        ("−5", "-5", 1),
        ("3/4", "0.75", 1),
        ("1 1/2", "1.5", 1),
        (r"\frac{3}{4}", "0.75", 1),
        (r"-\frac12", "-0.5", 1),
        ("5%", "5", 1),
        ("5%", "0.05", 1),
        ("0.05", "5%", 1),
        ("12 apples", "12", 1),
        ("The answer is 12.", "12", 1),
        ("€ 7.50", "7.5", 1),
        ("1.5e3", "1500", 1),
        (".5", "1/2", 1),
        ("**42**", "42", 1),
        ("0.30000000000000004", "0.3", 1),
        ("between 3 and 5", "5", 0),
        ("none", "5", 0),
        ("1/0", "5", 0),
        ("1e999999999", "5", 0),
        ("9" * 10_000, "5", 0),
        ("5.1", "5", 0),
        ("x2", "2", 0),
    ],
)
def test_numeric_reads_numbers_as_they_are_written(answer: str, target: str, right: int) -> None:
    assert value(numeric(None, None), answer, target) == right


@pytest.mark.parametrize(
    ("tolerance", "relative", "answer", "right"),
    [(0.1, None, "5.1", 1), (0.1, None, "5.11", 0), (None, 0.1, "5.5", 1), (None, 0.1, "5.51", 0),
     (0, None, "5.0000000001", 0)],
)  # fmt: skip
def test_numeric_tolerance_is_exact(
    tolerance: float | None, relative: float | None, answer: str, right: int
) -> None:
    assert value(numeric(tolerance, relative), answer, "5") == right


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [
        ("blue", "blue", 1),
        ("Blue.", "blue", 1),
        ("C", "blue", 1),
        ("(c)", "blue", 1),
        ("C. blue", "blue", 1),
        ("C) blue", "blue", 1),
        ("The answer is (C)", "blue", 1),
        ("Option B", "dark red", 1),
        ("blue", "C", 1),
        ("it must be blue, I think", "blue", 1),
        ("red", "dark red", 0),
        ("dark red", "red", 0),
        ("Z", "blue", 0),
        ("neither", "blue", 0),
        ("", "blue", 0),
        ("A", "A", 1),
    ],
)
def test_multiple_choice_takes_letters_and_texts(answer: str, target: str, right: int) -> None:
    assert value(multiple_choice, answer, target, CHOICE) == right


def test_multiple_choice_without_choices_compares_letters() -> None:
    assert value(multiple_choice, "B. because", "B") == 1
    assert value(multiple_choice, "C", "B") == 0


def test_text_overlap_is_the_published_measures() -> None:
    answer, target = "the cat sat on a mat", "A cat on the mat!"

    # words without articles: cat sat on mat / cat on mat
    assert value(text_overlap("f1"), answer, target) == pytest.approx(6 / 7)
    # all words: the cat sat on a mat / a cat on the mat, of which cat on mat are common
    assert value(text_overlap("rouge_l"), answer, target) == pytest.approx(6 / 11)
    assert value(text_overlap("rouge_l"), "mat on cat", "cat on mat") == pytest.approx(1 / 3)
    assert value(text_overlap("f1"), "mat on cat", "cat on mat") == 1
    assert value(text_overlap("f1"), "", "cat") == 0


def test_rouge_of_long_texts_takes_no_time() -> None:
    one = " ".join(str(n % 97) for n in range(20_000))
    two = " ".join(str(n % 89) for n in range(20_000))
    started_s = time.perf_counter()

    assert rouge_l(one, one) == 1
    assert 0 < rouge_l(one, two) < 1
    assert time.perf_counter() - started_s < 5


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [
        ("17", "17", 1),
        ("$17", "17", 1),
        ("17%", "17", 1),
        ("1,700", "1700", 1),
        ("17.0", "17", 1),
        ("17 apples", "17", 0),
        ("about 17", "17", 0),
        ("inf", "17", 0),
        ("Sea gull", "seagull", 1),
        ("Sea-gull!", "Seagull", 1),
        ("gull", "seagull", 0),
        ("a, b", "a,b", 1),
        ("a; b", "a, b", 1),
        ("b, a", "a, b", 0),
        ("a, b, c", "a, b", 0),
        ("1, $2", "1, 2", 1),
        ("1, x", "1, 2", 0),
        ("a., b", "a, b", 0),
        ("", "a", 0),
    ],
)
def test_gaia_follows_the_leaderboard(answer: str, target: str, right: int) -> None:
    assert value(gaia, answer, target) == right


async def test_no_answer_scores_zero_and_no_target_is_an_error() -> None:
    scorer = RuleScorer(exact)

    assert (await scorer(Task(id="t", prompt="p", target="x"), episode(None))).value == 0
    with pytest.raises(ScorerError, match="task t has no target"):
        await scorer(TASK, episode("x"))


def test_a_wrong_answer_says_what_was_expected() -> None:
    assert exact("b" * 200, "a", TASK).comment.startswith("expected 'a', got 'bbb")
    assert len(exact("b" * 200, "a", TASK).comment) < 120
