"""What the apprentice makes of a text."""

from __future__ import annotations

import pytest
from funcforge.adapters.models.apprentice.text import MAX_CHARS, read


def quantities(text: str) -> list[tuple[str, object]]:
    return [(t.kind, t.value) for t in read(text).tokens if t.kind not in ("word", "stop")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $1,250.50 today.", [("number", 1250.5)]),
        ("From -5 degrees to 12.", [("number", -5), ("number", 12)]),
        ("On 2024-02-29 or 3 March 2025", [("date", "2024-02-29"), ("date", "2025-03-03")]),
        ("from 09:45 to 17:05", [("time", "09:45"), ("time", "17:05")]),
        ("marks 7, 8, 9 and 10, then 3 and 4", [
            ("list", [7, 8, 9, 10]), ("number", 3), ("number", 4),
        ]),
        ("room B12 and version 1.2.3", [("number", 1.2)]),
    ],
)  # fmt: skip
def test_quantities_are_read_with_their_types(text: str, expected: list[object]) -> None:
    assert quantities(text) == expected


def test_a_table_is_one_quantity_and_its_names_are_marked_where_they_are_mentioned() -> None:
    text = "fruit | small | large\napple | 3 | 5\npear | 2 | 4\nWhat does a large pear cost?"

    found = quantities(text)

    assert found == [
        ("column", "large"),
        ("row", "pear"),
        ("table", {"apple": {"small": 3, "large": 5}, "pear": {"small": 2, "large": 4}}),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "a | b\nc | d", "||||\n|", "31 February 2024 and 2024-13-45", "9" * 5000, "\ud800 7 \0"],
)
def test_nonsense_is_read_without_an_error(text: str) -> None:
    assert read(text).text == text


def test_a_very_long_text_is_read_up_to_a_bound() -> None:
    question = read("7 apples " * 1_000_000)

    assert len(question.text) == MAX_CHARS
