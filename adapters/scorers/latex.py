r"""Brings mathematical answers into one spelling, so that most comparisons need no algebra.

Source of the rule: `is_equiv` of Hendrycks et al., arXiv 2103.03874, which drops spacing, units,
degrees, percent and dollar signs, and completes `\frac12` and `\sqrt2`. Ours goes further where
two spellings plainly are one answer: thousands commas, `\text{...}`, an unneeded `x =`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .numbers import read_number
from .symbols import typed

_DROPPED = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|(?<!\\)\\[!,;:> ]"
    r"|\\(?:quad|qquad|displaystyle|limits|bigl?|bigr?)(?![a-z])|\^\s*\{?\s*\\circ\s*\}?|\\degree|\\\$|\$|\\%|%|~|(?<!\\)\\[()\[\]]"
)
_WORDING = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname|rm|bf)\s*\{([^{}]*)\}"
)
_UNIT = re.compile(r"^(.*?[\d})\]])\\(?:text|mathrm|mbox)\s*\{[^{}\d]*\}\.?$")
_PLAIN_UNIT = re.compile(
    # no word twice among the choices: n words would be tried in 2^n ways
    r"^([-+]?[\d.,/]+) *((?:[a-z]{3,}|in|cm|mm|km|m|ft|kg|lb|mi|hr)\b\.? *)+$",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:(?:,|\{,\}|,\\!)\d{3})+(?!\d)")
_JOINT = re.compile(r"\\(?:text|mathrm|mbox)\s*\{\s*(?:and|or)\s*\}|(?<=\W)(?:and|or)(?=\W)")
_BASED = re.compile(r"^([0-9A-F]+)_(\d+)$")
_COLUMN = re.compile(r"^\\begin\{([pb]?)matrix\}((?:(?!\\begin|\\end)[^&])*)\\end\{\1matrix\}$")
_PARTS = re.compile(r"^([(\[])([^()\[\]]+,[^()\[\]]+)([)\]])$")
_NUMBER = re.compile(r"^-?[\d.]+$")
_NUMBERS = re.compile(r"^-?[\d.]+(?:,-?[\d.]+)+$")
_NAMES = re.compile(r"^[A-Za-z]\w?(?:\([a-z]\))?\s*=\s*(?=[^=]+$)")
_WORD = re.compile(r"[a-z][a-z' .-]*[a-z]", re.IGNORECASE)
_LETTERS = re.compile(r"[a-z]{3}", re.IGNORECASE)
_FUNCTIONS = frozenset({"pi", "sqrt", "sin", "cos", "tan", "log", "ln", "exp", "inf", "infinity"})


def canonical(text: str) -> str:
    """Return the spelling that is compared. Not meant to be read, nor to be valid LaTeX."""
    text = typed(text)
    text = re.sub(r"^\\boxed\s*\{(.*)\}$", r"\1", text)
    text = text.replace(",\\!", ",").replace("\\!", "")
    text = re.sub(r"\\[dtc]frac", r"\\frac", text).replace(r"\tfrac", r"\frac")
    text = _UNIT.sub(r"\1", text.strip())
    text = _WORDING.sub(r" \1 ", text)
    text = _DROPPED.sub("", text).strip()
    unit = _PLAIN_UNIT.match(text)
    if unit and unit[2].strip().lower() not in _FUNCTIONS:
        text = unit[1]
    text = _THOUSANDS.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    text = text.rstrip(". ").strip()
    if _is_wording(text) or text.lower() == "no":
        return " ".join(text.casefold().split())
    text = _NAMES.sub("", text)
    text = re.sub(r"\s+", "", text)
    column = _COLUMN.match(text)
    if column:  # a vector may be written as a row
        text = "(" + column[2].removesuffix("\\\\").replace("\\\\", ",") + ")"
    text = re.sub(r"^\(?([A-Za-z])\)$", r"\1", text)  # a letter of a choice
    text = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac(\d)\{", r"\\frac{\1}{", text)
    text = re.sub(r"(\\frac\{[^{}]*\})(\d)", r"\1{\2}", text)
    text = re.sub(r"\\sqrt(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"\^\{(\w)\}", r"^\1", re.sub(r"_\{(\w+)\}", r"_\1", text))
    text = re.sub(r"(?<!\d)\.(?=\d)", "0.", text)
    text = re.sub(r"^(-?\d+)\.0+$", r"\1", text)
    return re.sub(r"\\(?:cdot|times)(?![a-z])", "*", text)


def readable(text: str) -> str:
    """Return LaTeX that a grammar reads well: without units and signs, columns as rows."""
    text = _both_signs(_UNIT.sub(r"\1", typed(text)))
    text = _JOINT.sub(", ", _DROPPED.sub(" ", text))
    text = _WORDING.sub(r"\\text{\1}", text).strip()
    column = _COLUMN.match(text)
    if column:
        cells = [cell.strip() for cell in column[2].split("\\\\") if cell.strip()]
        return f"({', '.join(cells)})"
    return text


def ordered(target: str, answer: str) -> str:
    """Return the answer; in parentheses where the target is a point and the answer lists parts.

    Parts without parentheses are a set to a library, and their order nothing.
    """
    bare = not re.search(r"[()\[\]]|\\\{", answer) and "," in answer
    return f"({answer})" if bare and _PARTS.match(canonical(target)) else answer


def as_fraction(canonical_text: str) -> Fraction | None:
    r"""Return the exact value of a plain number, `\frac{a}{b}` or mixed number, or None."""
    negative = re.match(r"^-(?=\\frac|\()", canonical_text)
    number = read_number(canonical_text[1:] if negative else canonical_text)
    if number is None or number.percent:
        return None
    return -number.value if negative else number.value


def same_spelling(one: str, two: str) -> bool | None:
    """Compare two canonical texts; None where only algebra can tell."""
    if one == two:
        return True
    parts = _same_parts(one, two)
    if parts is not None:
        return parts
    if any(_NUMBER.match(a) and _NUMBERS.match(b) for a, b in ((one, two), (two, one))):
        return False  # a library takes "1, 234" for a number
    values = as_fraction(one), as_fraction(two)
    if values[0] is not None and values[1] is not None:
        return values[0] == values[1]
    if _same_digits(one, two):
        return True
    if _is_wording(one) or _is_wording(two):
        return False  # a library would multiply the letters
    return None


def _same_parts(one: str, two: str) -> bool | None:
    """Compare points and intervals part by part; None where a part needs algebra."""
    found = _PARTS.match(one), _PARTS.match(two)
    if not (found[0] and found[1]) or found[0].group(1, 3) != found[1].group(1, 3):
        return None
    parts = found[0][2].split(","), found[1][2].split(",")
    if len(parts[0]) != len(parts[1]):
        return None
    same = [same_spelling(a, b) for a, b in zip(*parts, strict=True)]
    if False in same:
        return False
    return None if None in same else True


def _same_digits(wanted: str, given: str) -> bool:
    """Whether one number names its base and the other leaves it unsaid, as the question did.

    Copies of the data set that hold answers as numbers lost the underscore: 1101_4 is 11014.
    """
    based, lost = _BASED.match(given), _BASED.match(wanted)
    if based is not None:
        return wanted in (based[1], based[1] + based[2])
    return lost is not None and given == lost[1]


def _is_wording(text: str) -> bool:
    """Whether a text is words and no product or difference of variables, such as p - q."""
    if _WORD.fullmatch(text) is None or text in _FUNCTIONS:
        return False
    return _LETTERS.search(text) is not None


def _both_signs(text: str) -> str:
    """Write one plus-minus out as two answers; what a library makes of it depends on its place."""
    if len(re.findall(r"\\pm(?![a-z])", text)) != 1 or r"\mp" in text:
        return text
    return ", ".join(re.sub(r"\\pm(?![a-z])", sign, text) for sign in "+-")
