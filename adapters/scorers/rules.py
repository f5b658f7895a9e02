"""Verdicts that need nothing but the answer and the task."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

from ...engine.episode import Score
from ...engine.tasks import Task
from .numbers import Number, only_number

Rule = Callable[[str, str, Task], Score]
"""Judges (answer, target, task). Both texts are there."""

RIGHT = Score(value=1.0)
LETTERS = string.ascii_uppercase
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_LATIN = re.compile(r"[a-z0-9]+")
_LETTER = re.compile(r"\(?\s*([A-Za-z])\s*(?:\)|[.:](?:\s|$)|$)")
_NAMED_LETTER = re.compile(
    r"\b(?i:answer|option|choice)\b[^A-Za-z(]*(?:is\b)?[\s:]*\(?([A-Z])\b\)?"
)


def verdict(right: bool, comment: str) -> Score:
    """Return full score, or none with the reason."""
    return RIGHT if right else Score(value=0.0, comment=comment)


def differs(answer: str, target: str) -> str:
    """Return the comment on a wrong answer; long ones are cut."""
    return f"expected {_short(target)}, got {_short(answer)}"


def exact(answer: str, target: str, task: Task) -> Score:
    """Equal text, spaces at the ends aside."""
    one, two = (unicodedata.normalize("NFC", text).strip() for text in (answer, target))
    return verdict(one == two, differs(answer, target))


def numeric(tolerance: float | None, relative: float | None) -> Rule:
    """Equal numbers within a tolerance; by default within the error of floats."""
    share = Fraction(relative if relative is not None else 0 if tolerance is not None else 1e-9)
    absolute = Fraction(tolerance or 0)

    def rule(answer: str, target: str, task: Task) -> Score:
        wanted, given = only_number(target), only_number(answer)
        if wanted is None:
            raise ValueError(f"the target {_short(target)} is no number")
        if given is None:
            return Score(value=0.0, comment=f"no single number in {_short(answer)}")
        bound = max(absolute, share * abs(wanted.value))
        right = any(abs(each - wanted.value) <= bound for each in _readings(given, wanted))
        return verdict(right, differs(answer, target))

    return rule


def _readings(given: Number, wanted: Number) -> Sequence[Fraction]:
    """Return what a number may mean: "50 %" is 50 where percents are asked, else 1/2."""
    if given.percent == wanted.percent:
        return (given.value,)
    return (given.value, given.value / 100 if given.percent else given.value * 100)


def multiple_choice(answer: str, target: str, task: Task) -> Score:
    """The same choice, by its letter or its text. The task's `choices` are in its metadata."""
    choices = [str(choice) for choice in task.metadata.get("choices") or ()]
    given, wanted = choice_of(answer, choices), choice_of(target, choices)
    if wanted is None:
        raise ValueError(f"the target {_short(target)} is none of the choices {choices}")
    return verdict(given == wanted, differs(answer, target))


def choice_of(text: str, choices: Sequence[str]) -> int | None:
    """Return which choice a text names, from 0: by its whole text, or by its letter."""
    plain = [_folded(choice) for choice in choices]
    folded = _folded(text)
    if folded in plain:
        return plain.index(folded)
    letter = _LETTER.match(text.strip())
    letters = [letter[1]] if letter else _NAMED_LETTER.findall(text)
    if letters:
        place = LETTERS.index(letters[-1].upper())
        if not choices or place < len(choices):
            return place
    named = [
        n
        for n, choice in enumerate(plain)
        if choice and re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", folded)
    ]
    return named[0] if len(named) == 1 else None


def text_overlap(measure: str) -> Rule:
    """Words in common with the target: F1 of the words as a bag, or of their longest sequence.

    Source: "f1" as Rajpurkar et al., SQuAD, arXiv 1606.05250; "rouge_l" as Lin, ROUGE, 2004.
    """
    if measure not in ("f1", "rouge_l"):
        raise ValueError(f'options.measure must be "f1" or "rouge_l", found {measure!r}')

    def rule(answer: str, target: str, task: Task) -> Score:
        given, wanted = _words(answer), _words(target)
        bag = sum((Counter(given) & Counter(wanted)).values())
        scores = {
            "f1": _f1(bag, len(given), len(wanted)),
            "rouge_l": rouge_l(answer, target),
        }
        comment = f"word F1 {scores['f1']:.3f}, ROUGE-L {scores['rouge_l']:.3f}"
        return Score(value=scores[measure], comment=comment)

    return rule


def rouge_l(given: str, wanted: str) -> float:
    """Return ROUGE-L F1: the longest common subsequence of words, against both lengths.

    Words as Google's `rouge_score` splits them: lower case, letters and digits, no stemming.
    """
    from rapidfuzz.distance import LCSseq  # 30 ms, for this measure only

    one, two = (_LATIN.findall(text.lower()) for text in (given, wanted))
    return _f1(LCSseq.similarity(one, two), len(one), len(two))


def gaia(answer: str, target: str, task: Task) -> Score:
    """The rule of the GAIA leaderboard: number, list or text, as the target is.

    Source: Mialon et al., arXiv 2311.12983, and the leaderboard's scorer.
    """
    if _is_float(target):
        return verdict(_as_float(answer) == float(target), differs(answer, target))
    if "," in target or ";" in target:
        wanted, given = re.split("[,;]", target), re.split("[,;]", answer)
        right = len(wanted) == len(given) and all(
            _as_float(g) == float(w) if _is_float(w) else _bare(g) == _bare(w)
            for g, w in zip(given, wanted, strict=True)
        )
        return verdict(right, differs(answer, target))
    right = _bare(answer, punctuation=False) == _bare(target, punctuation=False)
    return verdict(right, differs(answer, target))


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_float(text: str) -> float:
    bare = text.replace("$", "").replace("%", "").replace(",", "")
    return float(bare) if _is_float(bare) else float("inf")


def _bare(text: str, *, punctuation: bool = True) -> str:
    bare = re.sub(r"\s", "", text).lower()
    return bare if punctuation else bare.translate(str.maketrans("", "", string.punctuation))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".").strip()


def _words(text: str) -> list[str]:
    bare = text.casefold().translate(str.maketrans("", "", string.punctuation))
    return _ARTICLES.sub(" ", bare).split()


def _f1(common: int, given: int, wanted: int) -> float:
    if not given or not wanted:
        return float(given == wanted)
    return 2 * common / (given + wanted)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
