"""The small typed language of programs: evaluated here on examples, rendered as Python to run.

Rendered code runs in the sandbox only; here a program is a tree that a dozen lines interpret.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Value = Any  # JSON as a tool's argument takes it
_MAX = 1e15  # beyond this a float no longer holds every whole number


@dataclass(frozen=True, slots=True)
class Expr:
    """A program: an operation on parts, an argument by name, or a constant."""

    op: str
    parts: tuple[Expr, ...] = ()
    value: str | float = 0.0  # of an argument: its name; of a constant: its number

    @property
    def size(self) -> int:
        """How much there is to explain: leaves weigh 2, a constant out of the air 3."""
        own = {"arg": 2, "const": 3}.get(self.op, 1)
        return own + sum(part.size for part in self.parts)

    @property
    def fitted(self) -> bool:
        """Whether it has a constant with decimals, which can only come from the answers."""
        if self.op == "const":
            return float(self.value) != round(float(self.value))
        return any(part.fitted for part in self.parts)

    def arguments(self) -> list[str]:
        """Return the names of the arguments in order of use, each once."""
        if self.op == "arg":
            return [str(self.value)]
        return list(dict.fromkeys(name for part in self.parts for name in part.arguments()))


class NoValue(ArithmeticError):
    """The program has no value for these arguments."""


def arg(name: str) -> Expr:
    """Return the program that is one argument."""
    return Expr("arg", value=name)


def const(number: float) -> Expr:
    """Return the program that is one constant."""
    return Expr("const", value=number)


def _whole(x: float) -> int:
    if x != int(x) or x <= 0:
        raise NoValue
    return int(x)


def _power(base: float, exponent: float) -> float:
    if base <= 0 or not 0 <= exponent <= 200:
        raise NoValue
    return float(base**exponent)


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


_OPS: Mapping[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": _power,
    "gcd": lambda a, b: math.gcd(_whole(a), _whole(b)),
    "lcm": lambda a, b: math.lcm(_whole(a), _whole(b)),
    "share": lambda p: p / 100,
    "up": lambda p: 1 + p / 100,
    "down": lambda p: 1 - p / 100,
    "days": lambda a, b: (date.fromisoformat(b) - date.fromisoformat(a)).days,
    "minutes": lambda a, b: (_minutes(b) - _minutes(a)) % 1440,
    "sum": sum,
    "count": len,
    "highest": max,
    "lowest": min,
    "cell": lambda table, row, column: table[row][column],
    "only_cell": lambda table, row: next(iter(table[row].values())),
    "ceil": lambda x: math.ceil(x - 1e-9),
    "floor": lambda x: math.floor(x + 1e-9),
    "round": round,
}
# how each is written in Python, and the module that needs importing
_PYTHON: Mapping[str, tuple[str, str]] = {
    "gcd": ("math.gcd({}, {})", "math"),
    "lcm": ("math.lcm({}, {})", "math"),
    "share": ("{} / 100", ""),
    "up": ("(1 + {} / 100)", ""),
    "down": ("(1 - {} / 100)", ""),
    "days": ("(date.fromisoformat({1}) - date.fromisoformat({0})).days", "datetime"),
    "minutes": ("(minutes({1}) - minutes({0})) % 1440", "minutes"),
    "sum": ("sum({})", ""),
    "count": ("len({})", ""),
    "highest": ("max({})", ""),
    "lowest": ("min({})", ""),
    "cell": ("{}[{}][{}]", ""),
    "only_cell": ("next(iter({}[{}].values()))", ""),
    "ceil": ("math.ceil({} - 1e-9)", "math"),
    "floor": ("math.floor({} + 1e-9)", "math"),
    "round": ("round({}, {})", ""),
}
_HEADERS = {
    "math": "import math",
    "datetime": "from datetime import date",
    "minutes": (
        "def minutes(time):\n"
        '    hours, minutes = time.split(":")\n'
        "    return int(hours) * 60 + int(minutes)"
    ),
}


def operate(op: str, *values: Value) -> float:
    """Apply one operation.

    Raises:
        NoValue: It is not defined here, or the result is too large to be exact.
    """
    try:
        result = _OPS[op](*values)
    except (ArithmeticError, ValueError, TypeError, LookupError, StopIteration) as error:
        raise NoValue from error
    if not isinstance(result, int | float) or not abs(result) < _MAX:
        raise NoValue
    return result


def evaluate(program: Expr, arguments: Mapping[str, Value]) -> Value:
    """Run a program.

    Raises:
        NoValue: It has no value for these arguments.
    """
    if program.op == "arg":
        return arguments[str(program.value)]
    if program.op == "const":
        return program.value
    parts = [evaluate(part, arguments) for part in program.parts]
    if program.op == "round":
        parts[1] = int(parts[1])
    return operate(program.op, *parts)


def to_python(program: Expr) -> str:
    """Return a program as one Python expression."""
    return _render(program, 0)


def to_function(name: str, program: Expr, docstring: str) -> str:
    """Return Python source that defines `name` with the program's arguments."""
    needed = sorted(_needs(program))
    imports = [_HEADERS[need] for need in needed if not _HEADERS[need].startswith("def")]
    helpers = [_HEADERS[need] for need in needed if _HEADERS[need].startswith("def")]
    body = (
        f"def {name}({', '.join(program.arguments())}):\n"
        f'    """{docstring}"""\n'
        f"    return {to_python(program)}"
    )
    return "\n\n\n".join(["\n".join(imports)] * bool(imports) + helpers + [body]) + "\n"


def _needs(program: Expr) -> set[str]:
    own = {_PYTHON[program.op][1]} if program.op in _PYTHON else set()
    return {need for part in program.parts for need in _needs(part)} | own - {""}


_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "share": 2, "minutes": 2, "**": 3}


def _render(program: Expr, outer: int) -> str:
    if program.op == "arg":
        return str(program.value)
    if program.op == "const":
        number = float(program.value)
        return str(int(number)) if number == int(number) else repr(number)
    own = _PRECEDENCE.get(program.op, 9)
    if program.op in _PYTHON:
        # a template sets its own brackets, except for what stands beside an operator
        inner = {"share": 3, "up": 3, "down": 3, "ceil": 1, "floor": 1}.get(program.op, 0)
        text = _PYTHON[program.op][0].format(*(_render(part, inner) for part in program.parts))
    else:
        left, right = program.parts
        text = f"{_render(left, own)} {program.op} {_render(right, own + 1)}"
        if program.op == "**":
            text = f"{_render(left, own + 1)} ** {_render(right, own + 1)}"
    return f"({text})" if own < outer else text
