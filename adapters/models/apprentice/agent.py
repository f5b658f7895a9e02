"""The agent role: use a tool that fits the question, or guess. It solves nothing by itself."""

from __future__ import annotations

import hashlib
import json
import math
import re

from ....engine.messages import Message, Request, Tool, ToolCall
from .text import Question, read
from .tooling import uses

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


def act(request: Request) -> Message:
    """Return the next message on a task: a tool call, or the answer."""
    at = _question_at(request)
    if at is None:
        return Message(role="assistant", content="There is no question.")
    question = read(request.messages[at].content)
    after = request.messages[at + 1 :]
    called = {call.name for message in after for call in message.tool_calls}
    result = _result(after)
    if result is None and request.tool_choice != "none":
        call = _next_call(question, [tool for tool in request.tools if tool.name not in called])
        if call is not None:
            return Message(role="assistant", tool_calls=(call,))
    answer = result if result is not None else guess(question)
    return Message(role="assistant", content=_in_format(answer, request))


def guess(question: Question) -> str:
    """Return one of the question's numbers, picked by the hash of its text: a wrong answer."""
    numbers = [str(token.value) for token in question.tokens if token.kind == "number"]
    numbers += [str(v) for token in question.tokens if token.kind == "list" for v in token.value]
    digest = hashlib.sha256(question.text.encode("utf-8", "surrogatepass")).digest()
    pick = int.from_bytes(digest[:8], "big")
    return numbers[pick % len(numbers)] if numbers else str(pick % 100)


def _question_at(request: Request) -> int | None:
    """Return the last user message with a quantity: notices of the agent loop hold none."""
    asked = [i for i, message in enumerate(request.messages) if message.role == "user"]
    for i in reversed(asked):
        tokens = read(request.messages[i].content).tokens
        if any(token.kind not in ("word", "stop") for token in tokens):
            return i
    return asked[-1] if asked else None


def _next_call(question: Question, tools: list[Tool]) -> ToolCall | None:
    fitting = uses(question, tools)
    if not fitting:
        return None
    arguments = json.dumps(dict(fitting[0].arguments), ensure_ascii=False)
    digest = hashlib.sha256(f"{fitting[0].name}{arguments}{question.text}".encode(errors="replace"))
    return ToolCall(id=f"call_{digest.hexdigest()[:12]}", name=fitting[0].name, arguments=arguments)


def _result(after: tuple[Message, ...]) -> str | None:
    """Return the number that the last tool call gave, or None if it gave none."""
    told = [message.content.strip() for message in after if message.role == "tool"]
    if not told or not _NUMBER.fullmatch(told[-1].strip('"')):
        return None
    number = float(told[-1].strip('"'))
    if not math.isfinite(number):
        return None
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _in_format(answer: str, request: Request) -> str:
    """Mark the answer as the prompt asks for it."""
    prompt = "\n".join(m.content for m in request.messages if m.role in ("system", "user"))
    if "\\boxed" in prompt:
        return f"The answer is \\boxed{{{answer}}}."
    if "####" in prompt:
        return f"#### {answer}"
    return answer
