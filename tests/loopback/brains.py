"""Ready-made brains. A brain is any callable from an `Ask` to a `Say`, sync or async."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from funcforge.engine.messages import Tool

from .wire import Ask, Say, call, calls, text

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")

OPTIMIZER_TOOLS = frozenset({"add_function", "revise_function", "remove_function"})


def echo(ask: Ask) -> Say:
    """Repeat the question."""
    return text(ask.question)


def fixed(ask: Ask) -> Say:
    """Always say the same, at no cost: for measuring clients."""
    return Say(content="The answer is 42.", prompt_tokens=512, completion_tokens=8)


class Scripted:
    """Say what the script says, in order; the last line again and again. Keeps the asks."""

    def __init__(self, *script: Say | str) -> None:
        self._script = [text(line) if isinstance(line, str) else line for line in script]
        self.asks: list[Ask] = []

    def __call__(self, ask: Ask) -> Say:
        self.asks.append(ask)
        return self._script[min(len(self.asks), len(self._script)) - 1]


def chance(*parts: object) -> float:
    """Return a number in [0, 1) that follows from the parts alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def is_optimizer(ask: Ask) -> bool:
    """Tell an optimizer's request from an agent's by the tools it offers."""
    return any(tool.name in OPTIMIZER_TOOLS for tool in ask.tools)


def numbers_in(question: str) -> list[float]:
    """Return the numbers of a text, in order."""
    return [float(found.replace(",", "")) for found in _NUMBER.findall(question)]


def fill(tool: Tool, question: str) -> dict[str, Any]:
    """Fill a tool's arguments from a question: its numbers in order, its text for strings."""
    numbers = numbers_in(question) or [1.0]
    schema = tool.arguments.get("properties", {})
    filled: dict[str, Any] = {}
    for place, (name, rule) in enumerate(schema.items()):
        number = numbers[place % len(numbers)]
        kind = rule.get("type") if isinstance(rule, Mapping) else None
        value: dict[Any, Any] = {
            "integer": int(number),
            "string": question[:200],
            "boolean": True,
            "array": numbers,
            "object": {},
        }
        filled[name] = value.get(kind, number)
    return filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """An agent, and an optimizer, that know the answers but do not always show it. Stateless.

    As agent it calls the tools it is offered (the first learned one; `python` if there is no
    other), reads the results, and answers. A question is answered rightly if its own number in
    [0, 1) is below `skill`, or below `skill_with[name]` where the tool `name` was called and
    did not fail. Anything else is answered wrongly, in the right form. All follows from the
    request alone, so neither order nor concurrency nor a restart changes a reply.
    """

    answers: Mapping[str, str]  # question as it stands in the prompt -> answer
    skill: float = 0.3
    skill_with: Mapping[str, float] = field(default_factory=dict)
    optimizer: Callable[[Ask], Say] | None = None  # asked where the tools are an optimizer's
    phrase: Callable[[str], str] = "The answer is {}.".format
    arguments: Callable[[Tool, str], dict[str, Any]] = fill
    code: Callable[[str], str] = "print({!r})".format  # for `python`, from the question's answer
    python_tools: Sequence[str] = ("python",)

    def __call__(self, ask: Ask) -> Say:
        """Answer."""
        if is_optimizer(ask):
            if self.optimizer is None:
                return text("I have no proposal.")
            return self.optimizer(ask)
        question = self._find(ask)
        answer = self.answers.get(question, "0")
        if ask.tools and not ask.results:
            return self._call(ask, question, answer)
        right = chance(question) < self._skill(ask)
        return text(self.phrase(answer if right else _wrong(answer)))

    def _find(self, ask: Ask) -> str:
        said = ask.question
        if said in self.answers:
            return said
        return next((question for question in self.answers if question in said), said)

    def _call(self, ask: Ask, question: str, answer: str) -> Say:
        learned = [tool for tool in ask.tools if tool.name not in self.python_tools]
        if learned:
            known = [tool for tool in learned if tool.name in self.skill_with]
            tool = (known or learned)[0]
            return calls(call(tool.name, self.arguments(tool, question)))
        return calls(call(ask.tools[0].name, {"code": self.code(answer)}))

    def _skill(self, ask: Ask) -> float:
        best = self.skill
        failed = {result.tool_call_id for result in ask.results if _is_error(result.content)}
        for message in ask.messages:
            for made in message.tool_calls:
                if made.id not in failed:
                    best = max(best, self.skill_with.get(made.name, 0.0))
        return best


def _wrong(answer: str) -> str:
    found = numbers_in(answer)
    return f"{found[0] + 1:g}" if found else f"not {answer}"


def _is_error(content: str) -> bool:
    return "error" in content[:200].lower() or "traceback" in content[:200].lower()
