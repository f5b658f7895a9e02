"""Turns a provider's refusal into one of our errors: retry, do not retry, or fix your config.

The only place where HTTP status codes and foreign exceptions are judged.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import (
    ModelConfigError,
    ModelError,
    RefusedKind,
    RequestRefused,
    TransientKind,
    TransientModelError,
)

LONGEST_TEXT = 400  # characters of a provider's own words in a message
LONGEST_WAIT_S = 86_400.0

_TOO_LONG = re.compile(
    r"context.{0,12}(length|window)|maximum context|prompt is too long|too many tokens"
    r"|input is too long|context_length_exceeded|exceeds the maximum number of tokens",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content.?(policy|filter|management)|safety system|responsibleaipolicy|safety_filter"
    r"|content_policy_violation",
    re.IGNORECASE,
)
_NO_FUNDS = re.compile(
    r"insufficient.?(quota|balance|funds|credits)|credit balance|payment required", re.IGNORECASE
)
_QUOTA = re.compile(r"exceeded your current quota", re.IGNORECASE)
# Google words its per-minute limit as OpenAI words an empty account
_MINUTE_QUOTA = re.compile(r"resource_exhausted|retrydelay|per.?minute|rate-limits", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model.{0,80}(not found|does not exist|not exist|unknown|invalid)|invalid model"
    r"|model_not_found|no such model|unknown model",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"api.?key.{0,20}(not valid|invalid|incorrect)|(invalid|incorrect).{0,4}api.?key", re.IGNORECASE
)
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", re.IGNORECASE)
_TLS = re.compile(r"SSLError|\[SSL[:\]]")
_PLAIN_HTTP = re.compile(r"WRONG_VERSION_NUMBER|wrong version number|RECORD_LAYER_FAILURE")
_PROXY_AUTH = re.compile(r"407,? .{0,40}Proxy Authentication|Proxy Authentication Required")
_CONNECTION = re.compile(
    r"connection (error|reset|refused|aborted|lost)|server disconnected|cannot connect"
    r"|payload is not completed|connection closed|incomplete (chunked )?read|peer closed"
    r"|broken pipe|name or service not known|readerror|connecterror",
    re.IGNORECASE,
)
_NOT_A_REPLY = re.compile(
    r"unterminated string|expecting (value|property|',')|extra data: line|invalid control character"
    r"|empty or invalid response|unable to get json|json ?decode|traceback \(most recent"
    r"|invalid response object|validation error|object has no attribute",
    re.IGNORECASE,
)
_UNREAD = "Error converting to valid response block"
# what an error calls itself, where LiteLLM loses its status on the way
_TYPES = {
    '"permission_error"': 403,
    '"authentication_error"': 401,
    '"not_found_error"': 404,
    '"rate_limit_error"': 429,
    '"overloaded_error"': 529,
}

RETRY = "retry"
DO_NOT_RETRY = "do not retry this request"
FIX = "fix your config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who refused: what the messages name."""

    model: str  # provider/model
    provider: str
    host: str = ""  # of the base URL; empty: the provider's own
    key_variable: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)  # never shown


def from_status(
    source: Source, status: int, text: str, headers: Mapping[str, str] | None = None
) -> ModelError:
    """Judge an HTTP answer that is no success.

    Args:
        source: Who answered.
        status: HTTP status.
        text: The body, or the part of it that says what is wrong.
        headers: Of the answer; Retry-After is read from them.
    """
    said = _said(source, text)
    if status == 429 or status == 402:
        return _limited(source, status, said, text, retry_after_s(headers or {}))
    if status == 401:
        return _config(source, "auth", f"{_key(source)} was refused", said)
    if status == 403:
        return _config(source, "permission", "this key may not use it", said)
    if status == 407:
        return _proxy(source, said)
    if status in {404, 405} or 300 <= status < 400:
        return _no_such_thing(source, status, said)
    if status == 408:
        return transient(source, "timeout", f"time-out{said}", billed=True)
    if status >= 500:
        return _server(source, status, said, text, retry_after_s(headers or {}))
    return _bad_request(source, said, text)


def transient(
    source: Source,
    kind: TransientKind,
    what: str,
    *,
    billed: bool = False,
    after_s: float | None = None,
) -> TransientModelError:
    """Make an error that says *retry*."""
    return TransientModelError(
        f"{source.model}: {what} ({RETRY})",
        kind=kind,
        model=source.model,
        billed=billed,
        retry_after_s=after_s,
    )


def connection_lost(source: Source, error: BaseException) -> ModelError:
    """Judge a connection that could not be made, or broke."""
    text = str(error) or type(error).__name__
    if _CERTIFICATE.search(text):
        what = "its TLS certificate was refused: check base_url, or name your CA in SSL_CERT_FILE"
        return _config(source, "unsupported", what, _said(source, text))
    if _TLS.search(text):
        plain = _PLAIN_HTTP.search(text)
        what = "it does not speak TLS: is it a plain http:// one?" if plain else "TLS failed"
        return _config(source, "unsupported", f"{what} Check base_url", _said(source, text))
    if _PROXY_AUTH.search(text):
        return _proxy(source, _said(source, text))
    # whether the request was worked on, and billed, cannot be known from this end
    return transient(source, "connection", f"connection failed{_said(source, text)}", billed=True)


def unusable_url(source: Source, url: str, error: Exception) -> ModelError:
    """Judge a URL that nothing can be sent to."""
    return _config(source, "unsupported", f"its URL {url!r} is none: check base_url", f": {error}")


def unreadable(source: Source, why: str) -> TransientModelError:
    """Judge a reply, paid for, that is not what the protocol says."""
    return transient(source, "invalid_reply", f"unreadable reply: {_short(why)}", billed=True)


def from_litellm(source: Source, error: Exception) -> ModelError:
    """Judge an exception that LiteLLM raised."""
    name = type(error).__name__
    text = str(error)
    status = getattr(error, "status_code", None)
    if _UNREAD in text:  # LiteLLM calls that a bad request
        return unreadable(source, text.partition(_UNREAD)[2].lstrip("="))
    if name in {"ContextWindowExceededError"}:
        return _refused(source, "context_too_long", _said(source, text))
    if name == "ContentPolicyViolationError":
        return _refused(source, "content_filter", _said(source, text))
    if name in {"UnsupportedParamsError", "ImportError", "ModuleNotFoundError"}:
        return _config(source, "unsupported", "LiteLLM cannot send this", _said(source, text))
    if name == "Timeout" or isinstance(error, TimeoutError):
        return transient(source, "timeout", f"no reply in time{_said(source, text)}", billed=True)
    if status in {None, 500} or name == "APIConnectionError":
        return _folded(source, error, status, text)
    return from_status(source, int(status or 500), text, _headers(error))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read how long a provider wants us to wait: seconds, milliseconds or an HTTP date."""
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name) or headers.get(f"llm_provider-{name}")
        if value is None:
            continue
        try:
            wait_s = float(value) * factor
        except ValueError:
            wait_s = _until(value)
        if math.isfinite(wait_s):
            return min(max(wait_s, 0.0), LONGEST_WAIT_S)
    return None


def _until(value: str) -> float:
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime.now(dt.UTC)).total_seconds()


def _folded(source: Source, error: Exception, status: int | None, text: str) -> ModelError:
    """Take apart what LiteLLM folds into a 500: lost connections, unreadable replies, real 500s."""
    if any(kind.search(text) for kind in (_CERTIFICATE, _TLS, _PROXY_AUTH, _CONNECTION)):
        return connection_lost(source, error)
    for word, meant in _TYPES.items():
        if word in text:
            return from_status(source, meant, text, _headers(error))
    if _NOT_A_REPLY.search(text):
        return unreadable(source, text.partition("Traceback")[0])
    if status is not None:
        return from_status(source, status, text, _headers(error))
    # LiteLLM could not even build the request: the next attempt would be the same
    return _refused(source, "bad_request", _said(source, f"{type(error).__name__}: {text}"))


def _limited(
    source: Source, status: int, said: str, text: str, after_s: float | None
) -> ModelError:
    spent = _QUOTA.search(text) and not _MINUTE_QUOTA.search(text) and after_s is None
    if status == 402 or spent or _NO_FUNDS.search(text):
        return _config(source, "quota", f"the account of {_key(source)} has no quota left", said)
    return transient(source, "rate_limit", f"rate limit{said}", after_s=after_s)


def _server(
    source: Source, status: int, said: str, text: str, after_s: float | None
) -> TransientModelError:
    overloaded = status in {503, 529} or "overloaded" in text.lower()
    kind: TransientKind = "overloaded" if overloaded else "server_error"
    # a gateway's time-out (504, 524): the model behind it may have worked, and billed
    billed = status in {504, 524}
    what = f"{'overloaded' if overloaded else 'server error'}, HTTP {status}{said}"
    return transient(source, kind, what, billed=billed, after_s=after_s)


def _proxy(source: Source, said: str) -> ModelConfigError:
    what = (
        "the proxy of HTTP_PROXY or HTTPS_PROXY wants credentials: http://USER:PASSWORD@HOST:PORT"
    )
    return _config(source, "unsupported", what, said)


def _no_such_thing(source: Source, status: int, said: str) -> ModelConfigError:
    if 300 <= status < 400:
        what = f"{source.host or 'the provider'} redirects elsewhere: set base_url to the new place"
    elif source.host:
        what = f"no such model at {source.host}, or its base_url is not a chat endpoint"
    else:
        what = "no such model, or this key may not use it"
    return _config(source, "unknown_model", f"{what} (HTTP {status})", said)


def _bad_request(source: Source, said: str, text: str) -> ModelError:
    if _TOO_LONG.search(text):
        return _refused(source, "context_too_long", said)
    if _FILTERED.search(text):
        return _refused(source, "content_filter", said)
    if _NO_FUNDS.search(text):
        return _config(source, "quota", f"the account of {_key(source)} has no quota left", said)
    if _BAD_KEY.search(text):
        return _config(source, "auth", f"{_key(source)} was refused", said)
    if _NO_MODEL.search(text):
        return _config(source, "unknown_model", "no such model", said)
    return _refused(source, "bad_request", said)


_REFUSALS: dict[RefusedKind, str] = {
    "bad_request": "the provider does not accept the request",
    "context_too_long": "the prompt is longer than the model's context window",
    "content_filter": "the provider's content filter refused the prompt",
}


def _refused(source: Source, kind: RefusedKind, said: str) -> RequestRefused:
    message = f"{source.model}: {_REFUSALS[kind]}{said} ({DO_NOT_RETRY})"
    return RequestRefused(message, kind=kind, model=source.model)


def _config(source: Source, kind: Any, what: str, said: str) -> ModelConfigError:
    return ModelConfigError(f"{source.model}: {what}{said} ({FIX})", kind=kind, model=source.model)


def _key(source: Source) -> str:
    return f"the key in ${source.key_variable}" if source.key_variable else "the key"


def _said(source: Source, text: str) -> str:
    """Return the provider's own words, short, on one line and without the key."""
    for secret in source.secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    short = _short(text)
    return f": {short}" if short else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..."


def _headers(error: Exception) -> dict[str, str]:
    found: dict[str, str] = {}
    response = getattr(error, "response", None)
    for headers in (getattr(response, "headers", None), _litellm_headers(error)):
        if headers:
            found |= {str(name).lower(): str(value) for name, value in dict(headers).items()}
    return found


def _litellm_headers(error: Exception) -> Any:
    return getattr(error, "litellm_response_headers", None)
