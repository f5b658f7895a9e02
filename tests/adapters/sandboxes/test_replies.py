"""Replies out of the sandbox are read as untrusted input."""

from __future__ import annotations

import pytest
from funcforge.adapters.sandboxes.endings import describe_ending, result_of
from funcforge.adapters.sandboxes.replies import clean, read_message
from funcforge.engine.errors import InvalidReply
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": 1} x',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_strict_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidReply):
        read_message(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        message = read_message(data)
    except InvalidReply:
        return
    assert isinstance(message, dict)


def test_lone_surrogates_are_replaced() -> None:
    message = read_message(b'{"\\ud800": ["\\udfff x"]}')

    assert clean(message) == {"\ufffd": ["\ufffd x"]}


def test_nesting_is_bounded() -> None:
    value: object = 1
    for _ in range(100):
        value = [value]

    with pytest.raises(InvalidReply, match="deeper"):
        clean(value)


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"outcome": "system_failure"}, {"outcome": ["value"]}, {"outcome": "timeout"},
     {"outcome": "value", "error": 3}],
)  # fmt: skip
def test_a_malformed_answer_is_the_codes_own_doing(answer: object) -> None:
    result = result_of(answer, "", 0.1)

    assert result.outcome == "exception"
    assert "no valid result" in result.error


@pytest.mark.parametrize(
    ("status", "trouble", "elapsed_s", "outcome", "text"),
    [
        (None, "", 0.1, "system_failure", "the sandbox ended"),
        (0, "", 0.1, "exception", "exit status 0"),
        (3 << 8, "", 0.1, "exception", "exit status 3"),
        (11, "", 0.1, "exception", "SIGSEGV: a crash in native code"),
        (31, "", 0.1, "exception", "SIGSYS: a forbidden system call"),
        (9, "", 0.1, "exception", "SIGKILL: out of computing time or memory"),
        (9, "", 9.0, "timeout", "computed longer than 5 s"),
        (9, "its files took more than 8 MB", 0.1, "exception", "its files took more than 8 MB"),
        (35, "", 0.1, "exception", "signal 35"),
    ],
)
def test_an_ending_without_answer_is_explained(
    status: int | None, trouble: str, elapsed_s: float, outcome: str, text: str
) -> None:
    found, reason = describe_ending(status, trouble, elapsed_s, 5)

    assert found == outcome
    assert text in reason
