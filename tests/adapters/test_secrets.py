"""Secrets are masked wherever text leaves the process."""

from __future__ import annotations

import pytest
from funcforge.adapters.secrets import MASK, looks_secret, redactor


def test_values_of_secret_variables_are_masked() -> None:
    redact = redactor(
        {"MY_API_KEY": "correct-horse", "GIT_TOKEN": "battery-staple", "HOME": "/home"}
    )

    assert redact("a correct-horse at /home, battery-staple!") == f"a {MASK} at /home, {MASK}!"


def test_a_secret_that_contains_another_is_masked_whole() -> None:
    redact = redactor({"A_API_KEY": "abcdefgh", "B_API_KEY": "abcdefgh-more"})

    assert redact("abcdefgh-more") == MASK


def test_short_values_do_not_blot_out_words() -> None:
    assert redactor({"A_API_KEY": "none"})("none at all") == "none at all"


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijklmnop0123",
        "gsk_abcdefghijklmnop0123",
        "hf_abcdefghijklmnop0123",
        "AIzaSyabcdefghijklmnop0123",
        "Bearer abcdefghijklmnop0123",
    ],
)
def test_what_has_the_form_of_a_key_is_masked(key: str) -> None:
    assert redactor({})(f"header: {key}.") in (f"header: {MASK}.", f"header: {MASK}")


def test_settings_are_told_from_keys() -> None:
    assert looks_secret("api_key", "x")
    assert looks_secret("X-Auth-Token", "x")
    assert looks_secret("anything", "sk-abcdefghijklmnopqrstuv")
    assert not looks_secret("max_tokens", 3)
    assert not looks_secret("tokenizer", "cl100k")
