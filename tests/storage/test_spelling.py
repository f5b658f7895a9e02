"""Text, JSON and numbers in columns."""

from __future__ import annotations

import math

import pytest
from funcforge.storage.spelling import (
    column,
    environment_guard,
    pack,
    read,
    spell,
    spell_fast,
    unpack,
    whole,
)
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(alphabet=st.characters(exclude_categories=()))  # lone surrogates too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_every_json_value_survives_the_way_into_a_file_and_back(value: object) -> None:
    assert read(unpack(pack(spell(value)))) == value
    assert read(unpack(pack(spell_fast(value)))) == value


def test_equal_values_have_one_spelling() -> None:
    assert spell({"b": 1, "a": "ü"}) == spell({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'
    assert spell_fast({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'


def test_numbers_that_json_lacks_survive_in_what_files_hold() -> None:
    assert math.isnan(read(spell({"share": math.nan}))["share"])


def test_what_has_no_form_is_refused_by_type() -> None:
    with pytest.raises(TypeError, match="set has no form in JSON"):
        spell({"a": {1}})
    with pytest.raises(TypeError):
        spell_fast({"a": {1}})


@given(TEXT)
def test_a_column_can_always_be_stored(text: str) -> None:
    stored = column(text)

    stored.encode()
    assert stored == text or any("\ud800" <= letter <= "\udfff" for letter in text)


def test_numbers_of_others_are_held_within_what_adds_up() -> None:
    assert [whole(n) for n in (3, 10**40, -(10**40))] == [3, 2**53, -(2**53)]


def test_the_guard_knows_long_values_of_secret_variables_only() -> None:
    guard = environment_guard(
        {
            "OPENAI_API_KEY": "sk-1234567890",
            "SHORT_TOKEN": "sk-1234",
            "X_SECRET": "sk-1234567890-and-more",
            "HOME": "/home/somebody",
        }
    )

    assert guard is not None
    masked = guard("sk-1234567890-and-more sk-1234567890 sk-1234 /home/somebody")
    assert masked == "[redacted] [redacted] sk-1234 /home/somebody"
    assert environment_guard({"HOME": "/home/somebody"}) is None
