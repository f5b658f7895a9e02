"""The optimizer role: one action on the functions, from what the prompt shows.

It adds a function for the questions it can explain best, revises one that misleads, removes one
that never helps, and terminates when it has nothing left to try. A guess from few examples is
tried on its own, so that the verdict is about it. What was rejected in company is tried alone, and
what was rejected alone not again.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ....engine.canonical import content_hash
from ....engine.messages import Message, Request, ToolCall
from .examples import Example, Likeness
from .functions import Known, write
from .history import Functions, History, from_call, read_history
from .lessons import BASIS, Lesson, extend, learn
from .tooling import uses

ACTIONS = frozenset({"add_function", "revise_function", "remove_function", "terminate"})
_ALIKE = 0.25  # likeness from which questions may share a rule
_SURE = 3  # examples that must agree before a function travels with others
_SURE_SHARE = 0.6  # of the questions it would answer, how many it must get right
_MOST_ACTIONS = 32  # in one reply
_USELESS = 2  # calls without any success after which a function goes


@dataclass(frozen=True, slots=True)
class _Idea:
    lesson: Lesson
    gain: int  # failed questions that it explains
    revises: Known | None = None

    @property
    def sure(self) -> bool:
        """Whether there is more than a chance that it is right."""
        return self.gain >= _SURE and self.lesson.share >= _SURE_SHARE


def propose(request: Request) -> Message:
    """Return the next action as a tool call, or several calls where the prompt wants them all."""
    history = read_history(request.messages)
    calls: list[ToolCall] = []
    digest = content_hash([message.to_json() for message in request.messages])
    for _ in range(max(1, min(history.limit, _MOST_ACTIONS))):
        name, arguments = _next_action(history)
        text = json.dumps(arguments, ensure_ascii=False)
        calls.append(ToolCall(id=f"call_{digest[:12]}_{len(calls)}", name=name, arguments=text))
        if name == "terminate":
            break
        known = from_call(arguments)
        history.now.pop(known.name, None)
        if name != "remove_function":
            history.now[known.name] = known
    return Message(role="assistant", tool_calls=tuple(calls))


def _next_action(history: History) -> tuple[str, Mapping[str, Any]]:
    useless = _useless(history)
    if useless is not None:
        return "remove_function", {"name": useless}
    failed = _open_questions(history)
    idea = _choose(chain(_revisions(history, failed), _additions(history, failed)), history)
    if idea is None:
        return "terminate", {"reason": _why_nothing(history)}
    if idea.revises is not None:
        return "revise_function", write(idea.lesson, idea.revises.name, history.examples).to_json()
    return "add_function", write(
        idea.lesson, _free_name(idea.lesson, history), history.examples
    ).to_json()


def _choose(ideas: Iterable[_Idea], history: History) -> _Idea | None:
    """Return the idea to try now: the first sure one, or else the best doubtful one, alone."""
    refused, rejected = _rules([history.refused]), _rules(history.rejected)
    doubtful: list[_Idea] = []
    for idea in ideas:
        rule = write(idea.lesson, "f", history.examples).rule
        if idea.sure and rule not in refused | rejected:
            return idea
        doubtful.append(idea)
    if any(history.before.get(name) != known for name, known in history.now.items()):
        return None
    done = refused | _rules([functions for functions in history.rejected if len(functions) == 1])
    doubtful = [
        idea for idea in doubtful if write(idea.lesson, "f", history.examples).rule not in done
    ]
    # the most questions first, then the shorter program
    return min(doubtful, key=lambda i: (-i.gain, i.lesson.program.size), default=None)


def _rules(sets: Sequence[Functions]) -> set[tuple[str, ...]]:
    return {known.rule for functions in sets for known in functions.values()}


def _open_questions(history: History) -> list[Example]:
    """Return what was not solved and no function of this step will answer."""
    changed = [k.tool() for name, k in history.now.items() if history.before.get(name) != k]
    return [
        example
        for example in history.examples
        if example.score < 1 and example.number is not None and not uses(example.question, changed)
    ]


def _additions(history: History, failed: Sequence[Example]) -> Iterator[_Idea]:
    """Yield what the open questions teach, one idea per group of questions that are alike."""
    likeness = Likeness(history.examples)
    left = list(failed)
    while left:
        group = (left[0], *likeness.nearest(left[0], left[1:], _ALIKE))
        lesson = learn(group)
        if lesson is not None:
            lesson = extend(lesson, left)
        # what the search began with is not tried again as another group
        done = {*group[:BASIS], *(lesson.explained if lesson else ())}
        left = [example for example in left if example not in done]
        if lesson is not None:
            yield _Idea(lesson, len(lesson.explained))


def _revisions(history: History, failed: Sequence[Example]) -> Iterator[_Idea]:
    """Yield better versions of functions that misled the agent."""
    for name, known in history.now.items():
        called = [e for e in history.examples if name in e.used and e.number is not None]
        wrong = [example for example in called if example in failed]
        if not wrong:
            continue
        likeness = Likeness(called)
        lesson = learn((called[0], *likeness.nearest(called[0], called[1:], 0.0)))
        if lesson is None:
            continue
        gain = len(lesson.explained) - (len(called) - len(wrong))
        if gain > 0 and write(lesson, name, history.examples).rule != known.rule:
            yield _Idea(lesson, gain, revises=known)


def _useless(history: History) -> str | None:
    """Return a function that was called and never helped."""
    for name in history.now:
        scores = [example.score for example in history.examples if name in example.used]
        tried = name in history.before and name not in history.refused
        if tried and len(scores) >= _USELESS and not any(score >= 1 for score in scores):
            return name
    return None


def _free_name(lesson: Lesson, history: History) -> str:
    """Name a function by two words of its first wording that other questions rarely have."""
    others = [example for example in history.examples if example not in lesson.explained]

    def common(word: str) -> tuple[int, int, str]:
        return sum(word in example.words for example in others), -len(word), word

    words = [
        word
        for word in lesson.wordings(history.examples)[0].words
        if word.isascii() and word.isidentifier()
    ]
    base = "_".join(sorted(sorted(words, key=common)[:2])) or "answer"
    if keyword.iskeyword(base):
        base = f"{base}_answer"
    name, number = base, 2
    while name in history.now or name in history.refused:
        name, number = f"{base}_{number}", number + 1
    return name


def _why_nothing(history: History) -> str:
    if not any(example.number is not None for example in history.examples):
        return "No right answers are shown, so there is nothing that I could learn from."
    return "No short program that was not rejected explains more of the failed questions."
