"""The rule of GSM8K: the number after `####`, thousands commas aside."""

from __future__ import annotations

import re

from ...engine.episode import Score
from ...engine.tasks import Task
from .numbers import only_number
from .rules import differs, verdict

_MARK = re.compile(r"####\s*\$?\s*([-−]?\$?[0-9.,]+)")


def gsm8k(answer: str, target: str, task: Task) -> Score:
    """Judge by value.

    Source: Cobbe et al., arXiv 2110.14168: `grade_school_math/dataset.py` takes the first
    `#### N`, drops commas and compares texts. We compare values, since "18.00", "$18" and "18."
    are right where the target is 18, and take the last mark, since a model may correct itself;
    without a mark the answer must hold one number.
    """
    marks = _MARK.findall(answer)
    wanted, given = only_number(target), only_number(marks[-1] if marks else answer)
    if wanted is None:
        raise ValueError(f"the target {target!r} is no number")
    right = given is not None and not given.percent and given.value == wanted.value
    return verdict(right, differs(answer, target))
