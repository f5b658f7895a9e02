"""What a program may start from: quantities that all examples have in the same place."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from .cues import Cue, cues_of, plainness
from .program import Expr, NoValue, arg, operate
from .text import STOP_WORDS, Question

MAX_NUMBERS = 9  # different number places tried at once
_PERCENT = ("%", "percent")
_TAKEN = frozenset(
    {"date", "float", "int", "iter", "len", "list", "math", "max", "min", "minutes", "next"}
    | {"print", "range", "round", "sum", "time"}
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number that each example has, and the program that reads it."""

    values: tuple[float, ...]  # one per example
    program: Expr


@dataclass(frozen=True, slots=True)
class Places:
    """The arguments that programs over some examples may use."""

    cues: Mapping[str, Cue]  # by argument name
    values: Mapping[str, tuple[Any, ...]]  # by argument name, one per example


def find_places(questions: Sequence[Question]) -> Places:
    """Return the places that have a quantity in every question, equal ones once."""
    found = [cues_of(question) for question in questions]
    shared = [cue for cue in found[0] if all(cue in other for other in found[1:])]
    by_value: dict[tuple[str, str], list[Cue]] = {}
    for cue in shared:
        values = [repr(other[cue]) for other in found]
        if len(values) > 1 and len(set(values)) == 1 and cue.kind == "number":
            continue  # "round to 2 decimals": the same everywhere, so nothing depends on it
        key = (cue.kind, " ".join(values))
        by_value.setdefault(key, []).append(cue)
    best = sorted((_plainest(cues) for cues in by_value.values()), key=_rank)
    numbers = [cue for cue in best if cue.kind == "number"][:MAX_NUMBERS]
    kept = numbers + [cue for cue in best if cue.kind != "number"][:MAX_NUMBERS]
    names = _names(kept)
    return Places(
        cues=dict(zip(names, kept, strict=True)),
        values={
            name: tuple(other[cue] for other in found)
            for name, cue in zip(names, kept, strict=True)
        },
    )


def numbers_at(places: Places) -> list[Leaf]:
    """Return every number that the places give, read directly or by a typed operation."""
    kinds: dict[str, list[str]] = {}
    for name, cue in places.cues.items():
        kinds.setdefault(cue.kind, []).append(name)
    programs: list[Expr] = []
    for name in kinds.get("number", ()):
        programs.append(arg(name))
        if places.cues[name].right[:1] and places.cues[name].right[0] in _PERCENT:
            programs += [Expr(op, (arg(name),)) for op in ("share", "up", "down")]
    for name in kinds.get("list", ()):
        programs += [Expr(op, (arg(name),)) for op in ("sum", "count", "highest", "lowest")]
    for kind, op in (("date", "days"), ("time", "minutes")):
        programs += [Expr(op, (arg(a), arg(b))) for a, b in permutations(kinds.get(kind, ()), 2)]
    programs += _cells(kinds)
    return list(_valued(programs, places))


def _cells(kinds: Mapping[str, list[str]]) -> Iterator[Expr]:
    for table in kinds.get("table", ()):
        for row in kinds.get("row", ()):
            yield Expr("only_cell", (arg(table), arg(row)))
            for column in kinds.get("column", ()):
                yield Expr("cell", (arg(table), arg(row), arg(column)))


def _valued(programs: Sequence[Expr], places: Places) -> Iterator[Leaf]:
    for program in programs:
        columns = [places.values[part] for part in program.arguments()]
        try:
            if program.op == "arg":
                yield Leaf(tuple(float(value) for value in columns[0]), program)
            else:
                yield Leaf(
                    tuple(float(operate(program.op, *row)) for row in zip(*columns, strict=True)),
                    program,
                )
        except NoValue:
            continue


def _plainest(cues: Sequence[Cue]) -> Cue:
    # a percent sign tells the type, so the cue that shows it is kept
    percents = [cue for cue in cues if cue.right[:1] and cue.right[0] in _PERCENT]
    return min(percents or cues, key=_rank)


def _rank(cue: Cue) -> tuple[Any, ...]:
    return (*plainness(cue), cue)


def _names(cues: Sequence[Cue]) -> list[str]:
    """Name each argument by the word beside it."""
    names: list[str] = []
    for cue in cues:
        words = [*cue.right, *reversed(cue.left), cue.kind]
        plain = [re.sub(r"[^a-z]", "", {"%": "percent", "$": "dollars"}.get(w, w)) for w in words]
        good = [word for word in plain if len(word) > 1 and word not in STOP_WORDS]
        name = (good or [cue.kind])[0]
        if keyword.iskeyword(name) or name in _TAKEN or name in names or cue.nth:
            name = f"{name}_{cue.nth + 1}"
        while name in names:
            name += "_b"
        names.append(name)
    return names
