r"""Brings what people and models type into LaTeX: `2π`, `½`, `3√2`, `0.\overline{3}`, `1 1/2`."""

from __future__ import annotations

import re
from fractions import Fraction

_TYPED = str.maketrans(
    {"π": r"\pi ", "∞": r"\infty ", "×": r"\times ", "·": r"\cdot ", "≤": r"\le ", "≥": r"\ge ",
     "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "°": r"^\circ ", "±": r"\pm ",
     "−": "-", "–": "-", "²": "^2", "³": "^3", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}",
     "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}"}
)  # fmt: skip
_ROOT = re.compile(r"√\s*(?:\{([^{}]*)\}|\(([^()]*)\)|(\d+|[a-z]))")
_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])")
_REPEATING = re.compile(r"(?<![\d.])(\d{0,20})\.(\d{0,20})\\overline\s*\{(\d{1,20})\}")
_MIXED = re.compile(r"^([-+]?\d{1,20}) (\d{1,20})/(\d{1,20})$")


def typed(text: str) -> str:
    """Return the text on one line, in LaTeX as far as it was typed otherwise."""
    text = " ".join(text.split())
    if not text.isascii():
        text = _ROOT.sub(lambda m: rf"\sqrt{{{m[1] or m[2] or m[3] or ''}}}", text)
        text = text.translate(_TYPED).strip()
    text = text.replace(r"\langle", "(").replace(r"\rangle", ")")
    text = text.replace(r"\varnothing", r"\emptyset")
    text = _PI.sub(r"\\pi", text)
    text = _REPEATING.sub(_as_fraction, text)
    return _MIXED.sub(r"\1\\frac{\2}{\3}", text.removeprefix("= "))


def _as_fraction(match: re.Match[str]) -> str:
    """Return a repeating decimal as the fraction that it is."""
    whole, fixed, period = match[1] or "0", match[2], match[3]
    value = Fraction(int(whole + fixed + period) - int(whole + fixed))
    value /= 10 ** len(fixed) * (10 ** len(period) - 1)
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
