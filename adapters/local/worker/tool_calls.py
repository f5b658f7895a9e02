"""Reads the text of an open model as content and tool calls."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

_HERMES = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)  # Qwen, Hermes, ...


def read_message(tokenizer: Any, text: str, tools: Any) -> tuple[str, list[dict[str, str]]]:
    """Return content and calls. A call that cannot be read stays text: the agent sees it.

    The tokenizer's own response template is used where it has one.
    """
    if getattr(tokenizer, "response_template", None):
        with suppress(Exception):  # a model may write anything; then its text is all there is
            return _parsed(tokenizer.parse_response(text, tools=tools or None))
    calls = []
    for body in _HERMES.findall(text):
        call = _call(body)
        if call is None:
            return text.strip(), []
        calls.append(call)
    return (_HERMES.sub("", text).strip() if calls else text.strip()), calls


def _parsed(message: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
    calls = []
    for call in message.get("tool_calls") or ():
        function = call.get("function", call)
        calls.append(_spelt(str(function["name"]), function.get("arguments", {})))
    return str(message.get("content") or "").strip(), calls


def _call(body: str) -> dict[str, str] | None:
    try:
        data = json.loads(body)
        return _spelt(str(data["name"]), data.get("arguments", data.get("parameters", {})))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _spelt(name: str, arguments: Any) -> dict[str, str]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"name": name, "arguments": text}
