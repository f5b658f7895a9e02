"""What becomes of a Python value on its way out of the sandbox: JSON if it has a form, else text.

| value | becomes |
| --- | --- |
| None, bool, int, finite float, str | itself; an int of more than 4,300 digits becomes text |
| NaN and infinities, complex, bytes | text: "nan", "inf", "(1+2j)", the bytes as UTF-8 |
| list, tuple, range, deque, generator | list, in order |
| set, frozenset | list, sorted by value |
| dict and other mappings | object; keys as text; a second key of the same text keeps its repr |
| dataclass, named tuple | object of its fields |
| Enum | its value |
| Decimal | text, exact |
| Fraction, sympy Rational | int if whole, otherwise text "1/3" |
| datetime, date, time; timedelta | ISO 8601 text; text |
| sympy Integer, Float, true, false | int, float, bool |
| sympy Tuple, Matrix | list, list of rows |
| other sympy expressions | text, as `str` spells them |
| numpy scalar, array | the Python value, nested lists |
| pandas Series | object, index -> value |
| pandas DataFrame | object with columns, index, data |
| pandas Index; NA, NaT | list; null |
| anything else | its repr |

Values longer than the budget are cut, with a mark that says how much is missing.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import types
from collections import abc, deque
from typing import Any

_DEEPEST = 40
_LONGEST_INT_BITS = 14_000  # 4,214 decimal digits; readers of JSON refuse more than 4,300


def to_json(value: Any, budget: int) -> Any:
    """Return `value` as JSON by the table above, in about `budget` characters."""
    return _Converter(budget).convert(value, 0)


def cut(text: str, limit: int) -> str:
    """Shorten a text in its middle, and say so."""
    if len(text) <= limit:
        return text
    keep = max(limit, 0) // 2
    return (
        f"{text[:keep]} ...[cut: {len(text) - 2 * keep} characters]... {text[len(text) - keep :]}"
    )


def safe_repr(value: object, limit: int = 1_000) -> str:
    """Return the repr of a value that may not want to be shown."""
    try:
        text = str.__str__(repr(value))
    except BaseException as error:  # any code may hide in __repr__
        text = f"<{type(value).__name__} object; its repr raised {type(error).__name__}>"
    return cut(text, limit)


class _Converter:
    """One conversion: what is left of the budget, and what is open around the current value."""

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._open: set[int] = set()

    def convert(self, value: Any, depth: int) -> Any:
        self._left -= 2
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.convert(value.value, depth + 1)
        if isinstance(value, (str, int, float)):
            return self._plain(value)
        if depth >= _DEEPEST:
            return self._text(safe_repr(value))
        if id(value) in self._open:
            return self._text("<circular reference>")
        self._open.add(id(value))
        try:
            return self._compound(value, depth + 1)
        finally:
            self._open.discard(id(value))

    def _plain(self, value: str | int | float) -> Any:
        # subclasses may redefine everything: only the built-in methods are asked
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int):
            number = int.__add__(value, 0)
            if number.bit_length() > _LONGEST_INT_BITS:
                return self._text(_long_int(number))
            self._left -= number.bit_length() // 3
            return number
        real = float.__add__(value, 0.0)
        self._left -= 18
        return real if math.isfinite(real) else repr(real)

    def _text(self, text: str) -> str:
        text = cut(text, self._left)
        self._left -= len(text)
        return text

    def _compound(self, value: Any, depth: int) -> Any:
        module = type(value).__module__
        library = module.partition(".")[0] if isinstance(module, str) else ""
        if library in _LIBRARIES:
            return _LIBRARIES[library](self, value, depth)
        if isinstance(value, (bytes, bytearray)):
            return self._text(bytes(value).decode("utf-8", "backslashreplace"))
        if isinstance(value, (decimal.Decimal, complex, datetime.timedelta)):
            return self._text(str(value))
        if isinstance(value, fractions.Fraction):
            return self._ratio(value.numerator, value.denominator, depth)
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return self.pairs(((f.name, getattr(value, f.name, None)) for f in fields), depth)
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self.pairs(zip(value._fields, value, strict=False), depth)
        if isinstance(value, abc.Mapping):
            return self.pairs(value.items(), depth)
        if isinstance(value, (set, frozenset)):
            return self._sorted(value, depth)
        listed = (list, tuple, range, deque, types.GeneratorType, map, filter, zip, enumerate)
        views = (abc.KeysView, abc.ValuesView, abc.ItemsView, reversed)
        if isinstance(value, (*listed, *views)):
            return self.items(value, depth)
        return self._text(safe_repr(value, self._left))

    def items(self, values: Any, depth: int) -> list[Any]:
        """Return a list, and a mark in place of what the budget has no room for."""
        out: list[Any] = []
        for count, value in enumerate(values):
            if self._left <= 0:
                total = len(values) if isinstance(values, abc.Sized) else None
                missing = "more items" if total is None else f"{total - count} more items"
                out.append(f"...[cut: {missing}]...")
                break
            out.append(self.convert(value, depth))
        return out

    def pairs(self, pairs: Any, depth: int) -> dict[str, Any]:
        """Return an object, and a mark in place of what the budget has no room for."""
        out: dict[str, Any] = {}
        for key, value in pairs:
            if self._left <= 0:
                out["..."] = "[cut: more keys]"
                break
            name = self._text(str.__str__(key if isinstance(key, str) else _key(key)))
            if name in out:
                name = self._text(safe_repr(key))
            out[name] = self.convert(value, depth)
        return out

    def _sorted(self, values: Any, depth: int) -> list[Any]:
        if all(type(value) in (int, float) for value in values) or all(
            type(value) is str for value in values
        ):
            return self.items(sorted(values), depth)
        # unlike or partly ordered values: by text, so that the order is always the same
        return self.items(sorted(values, key=safe_repr), depth)

    def _ratio(self, numerator: int, denominator: int, depth: int) -> Any:
        if denominator == 1:
            return self.convert(int(numerator), depth)
        return self._text(f"{numerator}/{denominator}")

    def sympy(self, value: Any, depth: int) -> Any:
        """Convert by the table above."""
        if getattr(value, "is_Integer", False):
            return self.convert(int(value), depth)
        if getattr(value, "is_Rational", False):
            return self._ratio(value.p, value.q, depth)
        if getattr(value, "is_Float", False):
            return self.convert(float(value), depth)
        name = type(value).__name__
        if name in ("BooleanTrue", "BooleanFalse"):
            return bool(value)
        if name == "Tuple":
            return self.items(tuple(value), depth)
        if getattr(value, "is_Matrix", False) and hasattr(value, "tolist"):
            return self.items(value.tolist(), depth)
        return self._text(str.__str__(str(value)))

    def numpy(self, value: Any, depth: int) -> Any:
        """Convert by the table above."""
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            if kind in "mM":
                return self._text(str(value))
            item = value.item()
            # a long double has no Python value and gives itself back
            return self._text(str(item)) if type(item) is type(value) else self.convert(item, depth)
        if hasattr(value, "ndim") and hasattr(value, "__len__"):
            return self.items(value, depth)
        return self._text(safe_repr(value, self._left))

    def pandas(self, value: Any, depth: int) -> Any:
        """Convert by the table above."""
        match type(value).__name__:
            case "Series":
                return self.pairs(value.items(), depth)
            case "DataFrame":
                rows = (list(row) for row in value.itertuples(index=False, name=None))
                data = {"columns": list(value.columns), "index": list(value.index), "data": rows}
                return self.pairs(data.items(), depth)
            case "NAType" | "NaTType":
                return None
            case _ if hasattr(value, "isoformat"):
                return value.isoformat()
            case name if name.endswith(("Index", "Array")):
                return self.items(value, depth)
        return self._text(safe_repr(value, self._left))


_LIBRARIES = {
    "sympy": _Converter.sympy,
    "numpy": _Converter.numpy,
    "pandas": _Converter.pandas,
}


def _key(key: object) -> str:
    try:
        return str(key)
    except BaseException:  # as in safe_repr
        return safe_repr(key)


def _long_int(number: int) -> str:
    digits = int(number.bit_length() * math.log10(2)) + 1
    return f"<int of about {digits} digits: {hex(number)[:40]}...>"
