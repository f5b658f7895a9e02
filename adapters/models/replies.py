"""Reads a provider's reply, which is untrusted: any field may be missing, huge or of any type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...engine.errors import InvalidReply
from ...engine.messages import Finish, Message, Reply, Request, ToolCall
from ...engine.usage import Usage
from .chat import scrub
from .prices import TokenCounts

LONGEST_TEXT = 1_000_000  # characters of a text or of one call's arguments
LONGEST_NAME = 256
LONGEST_ID = 16_384  # Gemini's ids carry a signature of its thoughts, which it wants back
MOST_CALLS = 128
MOST_TOKENS = 1_000_000_000  # no bill says more; a larger number is nonsense

_THOUGHTS = "__thought__"  # LiteLLM's separator between an id and a signature

_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    # what providers on the same wire say instead
    "function_call": "tool_calls",
    "eos": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "safety": "content_filter",
}


def read_reply(body: Any) -> tuple[Message, Finish, str]:
    """Return the message, why it ends, and the reasoning of a chat completion.

    Args:
        body: A decoded chat completion in OpenAI's form, whatever it may really be.

    Raises:
        InvalidReply: There is no message in it.
    """
    if not isinstance(body, Mapping):
        raise InvalidReply(f"the body is {_kind(body)}, not an object")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise InvalidReply("it has no choices")
    choice = choices[0]
    said = choice.get("message")
    if not isinstance(said, Mapping):
        raise InvalidReply("its first choice has no message")
    content, content_cut = _bounded(_text(said.get("content")))
    calls, calls_cut = _calls(said.get("tool_calls"))
    finish = _finish(choice.get("finish_reason"), calls, content_cut or calls_cut)
    reasoning = said.get("reasoning_content")
    if reasoning is None:
        reasoning = said.get("reasoning")
    message = Message(role="assistant", content=content, tool_calls=calls)
    return message, finish, _bounded(_text(reasoning))[0]


def blotted(
    read: tuple[Message, Finish, str], guard: Callable[[str], str]
) -> tuple[Message, Finish, str]:
    """Mask secrets that a model, or a server before it, repeats.

    Here and not only in the store: what a run goes on with must be what its record holds, or a
    resumed run would ask something else.
    """
    message, finish, reasoning = read
    calls = tuple(
        replace(call, name=guard(call.name), arguments=guard(call.arguments))
        for call in message.tool_calls
    )
    message = replace(message, content=guard(message.content), tool_calls=calls)
    return message, finish, guard(reasoning)


def steady_ids(body: Any) -> None:
    """Replace the ids of calls by ones that follow from the call.

    For providers that give none, where LiteLLM makes up random ones: with those, equal replies
    would not be equal, and no recorded request would be found again.
    """
    with suppress(AttributeError, KeyError, TypeError):  # another form is judged when it is read
        for choice in body["choices"]:
            for at, call in enumerate(choice["message"]["tool_calls"] or ()):
                call["id"] = _steady(at, call["id"], **call["function"])


def _steady(at: int, given: Any, name: Any, arguments: Any) -> str:
    said = f"{at}\0{name}\0{arguments}".encode("utf-8", "surrogatepass")
    _, mark, thoughts = str(given).partition(_THOUGHTS)
    return f"call_{hashlib.sha256(said).hexdigest()[:24]}{mark}{thoughts}"


def read_counts(usage: Any) -> TokenCounts | None:
    """Return the token counts of a bill in OpenAI's form; None if there is none to trust."""
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    # a prompt of no tokens is how LiteLLM fills in a bill that did not come
    if not prompt or completion is None:
        return None
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    cached = _count(details.get("cached_tokens")) or _count(usage.get("prompt_cache_hit_tokens"))
    written = _count(usage.get("cache_creation_input_tokens"))
    cached = min(cached or 0, prompt)
    return TokenCounts(
        prompt=prompt,
        completion=completion,
        cached=cached,
        cache_written=min(written or 0, prompt - cached),
    )


def bound_counts(request: Request, message: Message) -> TokenCounts:
    """Return what a call without a bill can have used at most: never an under-estimate.

    A token is at least one byte of UTF-8; a reply has no more than was asked for.
    """
    size = len(message.content.encode("utf-8", "replace"))
    size += sum(len(call.name) + len(call.arguments) + 16 for call in message.tool_calls)
    return TokenCounts(
        prompt=request.token_bound(), completion=min(max(size, 1), request.max_tokens)
    )


def make_reply(
    read: tuple[Message, Finish, str], counts: TokenCounts, cost_pusd: int, latency_s: float
) -> Reply:
    """Put a reply together.

    Raises:
        InvalidReply: It says nothing at all, at no token: a provider's hiccup, not an answer.
    """
    message, finish, reasoning = read
    if not (counts.completion or message.content or message.tool_calls):
        raise InvalidReply("it is empty")
    return Reply(
        message=message,
        finish=finish,
        usage=Usage(
            calls=1,
            prompt_tokens=counts.prompt,
            completion_tokens=counts.completion,
            cached_tokens=counts.cached,
            cost_pusd=cost_pusd,
        ),
        latency_s=latency_s,
        reasoning=reasoning,
    )


def _calls(found: Any) -> tuple[tuple[ToolCall, ...], bool]:
    """Return the tool calls, and whether any had to be cut."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        return (), False
    calls: list[ToolCall] = []
    seen: set[str] = set()
    any_cut = len(found) > MOST_CALLS
    for number, item in enumerate(found[:MOST_CALLS]):
        function = item.get("function") if isinstance(item, Mapping) else None
        if not isinstance(function, Mapping):
            raise InvalidReply(f"tool call {number + 1} is {_kind(item)} without a function")
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidReply(f"tool call {number + 1} has no name")
        arguments, cut = _bounded(_arguments(function.get("arguments")))
        any_cut = any_cut or cut
        wanted = item.get("id")
        # results refer to calls by id: each needs one of its own
        if not isinstance(wanted, str) or not wanted or len(wanted) > LONGEST_ID:
            wanted = f"call_{number}"
        while wanted in seen:
            wanted = f"{wanted}_{number}"
        seen.add(wanted)
        calls.append(
            ToolCall(id=scrub(wanted), name=scrub(name[:LONGEST_NAME]), arguments=arguments)
        )
    return tuple(calls), any_cut


def _arguments(value: Any) -> str:
    if isinstance(value, str):
        return value or "{}"
    if value is None:
        return "{}"
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return str(value)


def _finish(value: Any, calls: tuple[ToolCall, ...], was_cut: bool) -> Finish:
    if was_cut:
        return "length"
    finish = _FINISHES.get(value.lower(), "stop") if isinstance(value, str) else "stop"
    if calls and finish == "stop":  # several servers say so where they call tools
        return "tool_calls"
    if finish == "tool_calls" and not calls:
        return "stop"
    return finish


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # parts
        texts = [part.get("text") for part in value if isinstance(part, Mapping)]
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _bounded(text: str) -> tuple[str, bool]:
    if len(text) > LONGEST_TEXT:
        return scrub(text[:LONGEST_TEXT]), True
    return scrub(text), False


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= MOST_TOKENS:  # also false for NaN
        return None
    return int(value)


def _kind(value: Any) -> str:
    for kind, name in ((dict, "an object"), (list, "a list"), (str, "a string")):
        if isinstance(value, kind):
            return name
    return "no object"
