from __future__ import annotations

import time

import pytest
from funcforge.engine.agents.answers import AnswerFormat, last_boxed, strip_terminate
from funcforge.engine.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{4}.", "4"),
        (r"$\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"\boxed{1} or rather \boxed{2}", "2"),
        (r"\fbox{7}", "7"),
        (r"\boxed 5$ it is", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left( \frac{1}{5}, 3 \right)}", r"\left( \frac{1}{5}, 3 \right)"),
        (r"\boxed{\begin{matrix} -1 \\ 6 \end{matrix}}", r"\begin{matrix} -1 \\ 6 \end{matrix}"),
        ("\\boxed{\n 3 \n}", "3"),
        (r"\boxed{x} then \boxed{}", "x"),
        (r"\boxed{x} then \boxed{never closed", "x"),
        (r"put it in \boxed{}", None),
        ("nothing here", None),
        (r"\boxedanswer{3}", None),
    ],
)  # fmt: skip
def test_the_last_box_that_holds_something_is_the_answer(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("boxed", "\\boxed{4}\nTERMINATE", "4"),
        ("hashes", "so it is\n#### 1,080", "1,080"),
        ("hashes", "#### 3\nno:\n####  -4 ", "-4"),
        ("hashes", "no mark", None),
        ("last_line", "thinking\n\n 42 \n\nTERMINATE", "42"),
        ("last_line", "TERMINATE", None),
        ("whole", "a\nb", "a\nb"),
        ("whole", "yes. **TERMINATE**.", "yes."),
        (r"FINAL ANSWER:\s*(.+)$", "FINAL ANSWER: 1\nFINAL ANSWER: two", "two"),
        (r"\d+ apples", "12 apples or 13 apples", "13 apples"),
        (r"Answer: (\d+)", "none", None),
    ],
)
def test_answers_are_found_in_each_format(kind: str, text: str, answer: str | None) -> None:
    assert AnswerFormat.parse(kind).find(text) == answer


@pytest.mark.parametrize("text", ["boxes", "(", ".*", "", "lastline"])
def test_a_setting_that_is_no_format_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"allowed are \"boxed\""):
        AnswerFormat.parse(text)


def test_the_instruction_names_the_mark() -> None:
    assert r"\boxed{}" in AnswerFormat.parse("boxed").instruction()
    assert r"A: (\d)" in AnswerFormat.parse(r"A: (\d)").instruction()


def test_terminate_is_taken_off_and_words_that_contain_it_are_left() -> None:
    assert strip_terminate("12 TERMINATE.") == "12"
    assert strip_terminate("UNTERMINATED loop") == "UNTERMINATED loop"


def test_a_message_full_of_unclosed_boxes_is_read_in_bounded_time() -> None:
    started_s = time.perf_counter()

    assert last_boxed(r"\boxed{" * 20_000) is None

    assert time.perf_counter() - started_s < 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("TERMINATE", ""),
        ("5\n\n**TERMINATE**.", "5"),
        ("`TERMINATE` 5", "5"),
        ("a TERMINATE TERMINATE! b", "a\n\nb"),
        ("5 ** TERMINATE", "5 **"),
        ("TERMINATED", "TERMINATED"),
    ],
)
def test_the_closing_word_goes_with_its_marks(text: str, left: str) -> None:
    assert strip_terminate(text) == left


@pytest.mark.parametrize("filler", [" ", "\n", "_", "*", "* "])
def test_a_message_of_filler_is_read_in_time(filler: str) -> None:
    text = "TERMINATE" + filler * 100_000 + "x"
    began_s = time.monotonic()

    AnswerFormat.parse("last_line").find(text)

    assert time.monotonic() - began_s < 1.0  # minutes, when each character was a beginning
