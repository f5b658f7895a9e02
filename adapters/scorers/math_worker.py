"""The process that compares answers by computer algebra, which can hang or fill the memory.

Reads JSON lines `{"target", "answer"}`, writes `{"equal", "why"}`. Only LaTeX is read, by a
grammar: the library's other reader evaluates text as Python.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from importlib import import_module
from typing import Any

CPU_S = 5.0  # of one comparison; CPU time, so that a busy machine gives the same verdicts
POINTS = (31, 43, 59, 71, 89)  # over 97: irregular angles and lengths below 1
MEMORY_BYTES = 2_000_000_000


class _OutOfTimeError(BaseException):
    """Passes the library's own `except Exception`."""


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGPROF, _out_of_time)
    for line in sys.stdin:
        task = json.loads(line)
        sys.stdout.write(json.dumps(_answer(task["target"], task["answer"])) + "\n")
        sys.stdout.flush()


def _out_of_time(*_: Any) -> None:
    raise _OutOfTimeError


def _answer(target: str, answer: str) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        return {"equal": _equal(target, answer), "why": ""}
    except _OutOfTimeError:
        return {"equal": False, "why": f"could not be compared within {CPU_S:g} s"}
    except (MemoryError, RecursionError, OverflowError) as error:
        return {"equal": False, "why": f"could not be compared: {type(error).__name__}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _equal(target: str, answer: str) -> bool:
    library = import_module("math_verify")
    reader = (library.LatexExtractionConfig(boxed_match_priority=0),)
    # time limits off: they use a signal of their own, and ours bounds the whole
    wanted, given = (
        library.parse(
            f"\\boxed{{{text}}}", reader, fallback_mode="no_fallback", parsing_timeout=None
        )
        for text in (target, answer)
    )
    if not (wanted and given):
        return False
    equal = library.verify(wanted, given, allow_set_relation_comp=True, timeout_seconds=None)
    return bool(equal) or _equal_in_numbers(wanted, given)


def _equal_in_numbers(wanted: list[Any], given: list[Any]) -> bool:
    """Compare values at some points, for what the library cannot simplify: sec A csc A.

    Expressions that agree in 25 digits at five unrelated points are equal.
    """
    sympy = import_module("sympy")
    kind, value_of = sympy.Expr, sympy.N
    pairs = [(w, g) for w in wanted for g in given if isinstance(w, kind) and isinstance(g, kind)]
    for one, two in pairs:
        names = sorted(one.free_symbols | two.free_symbols, key=str)
        gaps = []
        for point in range(5 if names else 1):
            values = {
                name: sympy.Rational(POINTS[(point + 2 * place) % len(POINTS)], 97)
                for place, name in enumerate(names)
            }
            size = abs(value_of(one.subs(values), 40))
            gap = abs(value_of((one - two).subs(values), 40))
            if not (gap.is_Float or gap.is_zero):
                return False
            # a decimal in the answer is exact to its own digits only
            exact = not (one.has(sympy.Float) or two.has(sympy.Float))
            gaps.append(gap <= (1e-25 if exact else 1e-9) * max(1, size))
        if gaps and all(gaps):
            return True
    return False


if __name__ == "__main__":
    main()
