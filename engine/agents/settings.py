"""What agents can be told: how an answer is marked, and another prompt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """Settings of the agents that come with funcforge.

    `answer` is "boxed", "hashes" (a line `#### N`), "last_line", "whole" (the whole last message)
    or a regular expression, whose first group is the answer.
    """

    answer: str = "boxed"
    prompt: str | None = None  # text of the system prompt; None: the one that comes with the agent
    prompt_file: str | None = None  # where it was read, for error messages
    # of the learned demonstrations, the most similar to the task are shown, within both bounds
    demonstrations: int = 8
    demonstration_tokens: int = 8_000
    functions: int | None = None  # of the learned ones, the most similar; None: all
