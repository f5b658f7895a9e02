r"""The rule of TabMWP: a choice by letter or text, or a value that is normalised.

Source: Lu et al., arXiv 2209.14610, `run_gpt3/utilities.py` and its `normalize_answer`. Where we
differ: a letter beyond the choices, or no word in common
with one, is wrong (there: a random choice, the first choice); the whole answer is tried
before a value is looked for in it, since an agent's answer is marked already; numbers with a
trailing unit are normalised like bare ones; a zero divisor is no error.
"""

from __future__ import annotations

import re

from ...engine.episode import Score
from ...engine.tasks import Task
from .rules import LETTERS, differs, verdict

_LATEX_FRACTION = re.compile(r"\$?\\[dt]?frac\{([\d.,\-]+)\}\{([\d.,]+)\}\$?")
_CHOICE = (
    re.compile(r"^\(([A-Za-z])\)$"),
    re.compile(r"^([A-Za-z])$"),
    re.compile(r"^([A-Za-z])[.):] "),
    re.compile(r"[Tt]he answer is ([A-Z])\b(?![a-z'])"),
    re.compile(r"^\(([A-Za-z])\) [\s\S]+$"),
    re.compile(r"[Tt]he answer is \(([A-Za-z])\)"),
)
_VALUE = (
    re.compile(r"[Tt]he answer is ([\s\S]+)$"),
    re.compile(r"[Tt]he table shows that ([\d$.,/:]+) "),
    re.compile(r" = ([\d$.,/:]+)"),
    re.compile(r"(?<= be| is) ([\-\d$.,/:]*\d+)"),
    re.compile(r"(?<= are| was) ([\-\d$.,/:]*\d+)"),
    re.compile(r"(?<= were) ([\-\d$.,/:]*\d+)"),
    re.compile(r"(?:^| )([\d$.,/:]+ [AP]\.M\.)"),
    re.compile(r"([\-\d$.,/:]{0,40}\d+)"),  # bounded: a rule of thousands of dashes has no digit
)


def tabmwp(answer: str, target: str, task: Task) -> Score:
    """Judge an answer by the kind of its question. `choices` and `unit` are in the metadata."""
    choices = [str(choice) for choice in task.metadata.get("choices") or ()]
    unit = str(task.metadata.get("unit") or "")
    text = _tidy(answer)
    if choices:
        right = _choose(text, choices).casefold() == target.strip().casefold()
        return verdict(right, differs(answer, target))
    wanted = normalise(_tidy(target), unit)
    given = {normalise(text, unit), normalise(_value(text), unit)}
    return verdict(wanted in given, differs(answer, target))


def normalise(text: str, unit: str) -> str:
    """Return the form that answers are compared in: numbers rounded to three places."""
    text = re.sub(r"^([-+]?)\$", r"\1", text.strip()).strip()
    text = re.sub(r"[,./]$", "", text)
    if unit and not _is_number(text):
        text = text.replace(unit, "").strip()
    if not _is_number(text):
        return " ".join(text.split()).casefold()
    bare = text.replace(",", "")
    try:
        top, _, bottom = bare.partition("/")
        if not bottom and "." not in top:
            return str(int(top))
        value = round(float(top) / float(bottom) if bottom else float(top), 3)
    except (ValueError, ZeroDivisionError, OverflowError):
        return bare
    return re.sub(r"\.0+$", "", str(value))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[\d,./]+", text) is not None and len(text) < 400


def _tidy(text: str) -> str:
    text = _LATEX_FRACTION.sub(r"\1/\2", text.strip().replace("−", "-"))
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).replace(r"\$", "$").replace(r"\%", "%")
    text = re.sub(r"(?<![AP]\.M)\.$", "", text)
    return re.sub(r"(?<=\d)=(?=[-$\d])", " = ", text).strip()


def _choose(text: str, choices: list[str]) -> str:
    for choice in choices:
        if choice.casefold() == text.casefold():
            return choice
    for pattern in _CHOICE:
        found = pattern.search(text)
        if found:
            place = LETTERS.index(found[1].upper())
            return choices[place] if place < len(choices) else ""
    best = max(choices, key=lambda choice: _similarity(choice, text))
    return best if _similarity(best, text) > 0 else ""


def _similarity(one: str, two: str) -> float:
    words, others = one.casefold().split(), two.casefold().split()
    return len(set(words) & set(others)) / max(len(words), len(others), 1)


def _value(text: str) -> str:
    for pattern in _VALUE:
        found = pattern.findall(text)
        if found:
            value: str = found[-1].strip()
            return value[:-1] if value.endswith(".") and ".M." not in value else value
    return text
