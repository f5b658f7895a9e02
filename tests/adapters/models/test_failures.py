"""Status codes and foreign exceptions are judged once, and say what to do."""

from __future__ import annotations

import pytest
from funcforge.adapters.models.failures import Source, from_status, retry_after_s
from funcforge.engine.errors import ModelConfigError, RequestRefused, TransientModelError

SOURCE = Source(
    model="openai/m", provider="openai", key_variable="OPENAI_API_KEY", secrets=("s3cret-key",)
)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "Rate limit reached; add a payment method at .../account/billing", "rate_limit"),
        (
            429,
            "You exceeded your current quota, see https://x.dev/rate-limits",
            "rate_limit",
        ),
        (529, "Overloaded", "overloaded"),
        (504, "upstream timed out", "server_error"),
        (520, "unknown", "server_error"),
        (408, "slow", "timeout"),
    ],
)
def test_what_may_pass_is_retried(status: int, text: str, kind: str) -> None:
    error = from_status(SOURCE, status, text)

    assert isinstance(error, TransientModelError)
    assert error.kind == kind
    assert str(error).endswith("(retry)")


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "insufficient_quota", "quota"),
        (429, "You exceeded your current quota, please check your plan", "quota"),
        (402, "Insufficient Balance", "quota"),
        (400, "Your credit balance is too low to access the Anthropic API", "quota"),
        (400, "API key not valid. Please pass a valid API key.", "auth"),
        (400, "invalid model name passed in model=x", "unknown_model"),
        (404, "nothing here", "unknown_model"),
        (405, "method not allowed", "unknown_model"),
        (307, "moved", "unknown_model"),
        (403, "forbidden", "permission"),
    ],
)
def test_what_a_person_must_fix_says_so(status: int, text: str, kind: str) -> None:
    error = from_status(SOURCE, status, text)

    assert isinstance(error, ModelConfigError)
    assert error.kind == kind
    assert str(error).endswith("(fix your config)")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("This model's maximum context length is 8192 tokens", "context_too_long"),
        ("input is too long for requested model", "context_too_long"),
        ("The response was filtered due to Azure content management policy", "content_filter"),
        ("messages.0.content: field required", "bad_request"),
    ],
)
def test_what_will_never_be_answered_is_not_retried(text: str, kind: str) -> None:
    error = from_status(SOURCE, 400, text)

    assert isinstance(error, RequestRefused)
    assert error.kind == kind
    assert "do not retry" in str(error)


def test_messages_are_short_one_line_and_without_the_key() -> None:
    error = from_status(SOURCE, 500, "key s3cret-key\n\n" + "x" * 100_000)

    assert "s3cret-key" not in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "99999999"}, 86_400.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_waits_are_read_in_each_form(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers) == wait_s
