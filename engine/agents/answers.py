r"""Finds the final answer in a message: `\boxed{}`, `#### N`, the last line, or a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from .template import phrases

AnswerKind = Literal["boxed", "hashes", "last_line", "whole", "regex"]

_BOX = re.compile(r"\\f?box(?:ed)?(?![A-Za-z])\s*")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)
# agents trained on AutoGen close with this word; it is never part of an answer
_TERMINATE = re.compile(r"\bTERMINATE\b")
_MARKS = "*_`\"'"  # that may stand around it
_BOXES = 20  # of a message, from its end; bounds the work on nonsense
_SEARCHED = 50_000  # characters at the end of a message that a person's pattern is tried on


_NAMED: dict[str, AnswerKind] = {
    "boxed": "boxed",
    "hashes": "hashes",
    "last_line": "last_line",
    "whole": "whole",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """How the agent is told to mark its answer, and how it is found."""

    kind: AnswerKind = "boxed"
    pattern: re.Pattern[str] | None = None  # of kind "regex"; its first group is the answer

    @classmethod
    def parse(cls, text: str) -> AnswerFormat:
        """Read the setting: one of the names, or a regular expression.

        Raises:
            ConfigError: It is neither.
        """
        if text in _NAMED:
            return cls(kind=_NAMED[text])
        allowed = '"boxed", "hashes", "last_line", "whole" or a regular expression'
        if text.isidentifier():
            raise ConfigError(f"{text!r} is no answer format; allowed are {allowed}")
        try:
            pattern = re.compile(text, re.MULTILINE)
        except re.error as error:
            raise ConfigError(
                f"{text!r} is no regular expression ({error}); allowed are {allowed}"
            ) from None
        if not text.strip() or pattern.search("") is not None:
            raise ConfigError(f"{text!r} matches nothing at all; allowed are {allowed}")
        return cls(kind="regex", pattern=pattern)

    def instruction(self) -> str:
        """Return the sentence that tells the model how to mark its answer."""
        sentence: str = phrases()["answer"][self.kind]
        return sentence.replace("{pattern}", self.pattern.pattern if self.pattern else "")

    def find(self, message: str) -> str | None:
        """Return the answer in a message, or None if there is none."""
        text = strip_terminate(message)
        match self.kind:
            case "boxed":
                answer = last_boxed(text)
            case "hashes":
                found = _HASHES.findall(text)
                answer = found[-1] if found else None
            case "last_line":
                lines = [line.strip() for line in text.splitlines() if line.strip()]
                answer = lines[-1] if lines else None
            case "whole":
                answer = text
            case "regex":
                answer = self._last_match(text)
        return (answer or "").strip() or None

    def _last_match(self, text: str) -> str | None:
        assert self.pattern is not None
        found = list(self.pattern.finditer(text[-_SEARCHED:]))
        if not found:
            return None
        return found[-1][1] if self.pattern.groups else found[-1][0]


def strip_terminate(text: str) -> str:
    """Return the text without the word TERMINATE."""
    first, *others = _TERMINATE.split(text)
    parts = [first]
    for other in others:
        parts[-1] = parts[-1].rstrip(_MARKS).rstrip()
        parts.append(other.lstrip(f".!{_MARKS}").lstrip())
    return "\n".join(parts).strip()


def says_terminate(text: str) -> bool:
    """Whether a message asks for the end of the conversation."""
    return "TERMINATE" in text


def last_boxed(text: str) -> str | None:
    r"""Return what the last `\boxed{...}` holds, or None. Braces may nest; `\fbox` counts too.

    `\boxed 5` without braces is read up to the end of the formula, as the MATH authors do.
    """
    for match in list(_BOX.finditer(text))[: -_BOXES - 1 : -1]:
        rest = text[match.end() :]
        inside = _braced(rest) if rest.startswith("{") else re.split(r"[$\n]|\\[)\]]", rest)[0]
        if inside is not None and inside.strip():
            return inside.strip()
    return None


def _braced(text: str) -> str | None:
    depth = 0
    escaped = False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[1:index]
    return None
