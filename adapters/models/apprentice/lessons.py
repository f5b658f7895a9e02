"""From examples to a function: the program that explains most of them, and how they are worded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, product
from typing import Any

from .cues import Cue, words_around
from .examples import Example, Likeness, split_by_wording, telling_words
from .leaves import find_places, numbers_at
from .program import Expr, NoValue, evaluate
from .search import aims, search
from .tooling import Wording

BASIS = 4  # examples that a program is searched on, fewer if those fail; the rest test it
_REFINEMENTS = 3  # searches with a counterexample
_MEANT = 3  # examples that a program explains by more than chance
_SAME_FAMILY = 0.2  # likeness from which examples may share a wording
_READINGS = 3000  # ways to read another wording that are tried


_Reading = tuple[Mapping[str, Cue], tuple[Example, ...]]  # where arguments stand, in which


@dataclass(frozen=True, slots=True)
class Lesson:
    """A program, the ways of asking that it answers, and the examples that it explains."""

    program: Expr
    readings: tuple[_Reading, ...]
    share: float  # of the like examples with such arguments, how many it explains

    @property
    def explained(self) -> tuple[Example, ...]:
        """All examples that it explains."""
        return tuple(example for _, explained in self.readings for example in explained)

    def wordings(self, everything: Sequence[Example]) -> list[Wording]:
        """Return its wordings: the words that all examples of one have in common.

        Args:
            everything: All questions known, so that words of no meaning can be told.
        """
        telling = telling_words(self.explained, everything)
        return [
            Wording(words, cues)
            for cues, explained in self.readings
            for words in split_by_wording(
                (around & telling) or around
                for around in (words_around(e.question, cues.values()) for e in explained)
            )
        ]


@dataclass(frozen=True, slots=True, order=True)
class _Fit:
    """A program on trial. Fits are ordered by what they explain, then by how short they are."""

    count: int
    shortness: int
    program: Expr = field(compare=False)
    cues: Mapping[str, Cue] = field(compare=False)
    explained: tuple[Example, ...] = field(compare=False)


@lru_cache(maxsize=512)
def learn(examples: tuple[Example, ...]) -> Lesson | None:
    """Return the best lesson from examples that are alike, the first of them at its heart.

    Pure; remembered only to save time: an optimizer is asked several times about one history.

    Args:
        examples: With numbers as right answers, by falling likeness to the first.
    """
    best: _Fit | None = None
    for size in range(BASIS, 0, -1):
        if size <= len(examples):
            best = max(filter(None, (best, _fit(examples[:size], examples))), default=None)
        if best is not None and len(best.explained) >= min(size, _MEANT):
            break
    if best is None:
        return None
    best = _refined(best, examples)
    if not best.explained:
        return None
    readable = sum(_read(best.cues, example) is not None for example in examples)
    return Lesson(
        program=best.program,
        readings=((best.cues, best.explained),),
        share=len(best.explained) / max(readable, 1),
    )


def extend(lesson: Lesson, others: Sequence[Example]) -> Lesson:
    """Add the wordings of other examples that the same program answers."""
    (cues, explained), *_ = lesson.readings
    rest = [example for example in others if example not in explained]
    readable = [example for example in rest if _read(cues, example)]
    best = _sharpened(lesson.program, cues, explained, readable)
    rest = [example for example in rest if example not in best.explained]
    more = _other_wordings(best.program, best.cues, rest)
    return Lesson(best.program, ((best.cues, best.explained), *more), lesson.share)


def _sharpened(
    program: Expr,
    cues: Mapping[str, Cue],
    explained: Sequence[Example],
    readable: Sequence[Example],
) -> _Fit:
    """Return the program with all that it explains, its constant fitted to more examples.

    A conversion factor from few examples is right for them and slightly wrong for others.
    """
    same = tuple(example for example in readable if _explains(program, cues, example))
    best = _Fit(len(explained) + len(same), -program.size, program, cues, (*explained, *same))
    wrong = [example for example in readable if example not in same]
    if wrong and program.fitted:
        basis = [*explained[:BASIS], *wrong[:BASIS]]
        best = max(filter(None, (best, _fit(basis, (*explained, *readable)))))
    return best


def _fit(basis: Sequence[Example], examples: Sequence[Example]) -> _Fit | None:
    """Return the program from the basis that explains most of the examples."""
    fits = []
    for program, cues in _programs(basis):
        explained = tuple(e for e in examples if _explains(program, cues, e))
        fits.append(_Fit(len(explained), -program.size, program, cues, explained))
    return max(fits, default=None)


def _refined(best: _Fit, examples: Sequence[Example]) -> _Fit:
    """Search again with a counterexample: one that can be read but comes out wrong."""
    against: list[Example] = []
    for _ in range(_REFINEMENTS):
        wrong = [e for e in examples if e not in best.explained and _read(best.cues, e)]
        if not wrong or len(best.explained) < _MEANT:
            break
        against.append(wrong[0])
        better = _fit([*best.explained[:BASIS], *against], examples)
        if better is None or better <= best:
            break
        best = better
    return best


def _programs(basis: Sequence[Example]) -> Iterator[tuple[Expr, dict[str, Cue]]]:
    """Yield programs that give the right answers of the basis, each with its arguments' cues."""
    places = find_places([example.question for example in basis])
    leaves = numbers_at(places)
    targets = [example.number or 0.0 for example in basis]
    for aim in aims(targets, max(example.decimals for example in basis)):
        found = search(leaves, aim)
        for program in found:
            yield program, {name: places.cues[name] for name in program.arguments()}
        if found and aim.deep:
            return


def _explains(program: Expr, cues: Mapping[str, Cue], example: Example) -> bool:
    arguments = _read(cues, example)
    if arguments is None or example.number is None:
        return False
    try:
        value = evaluate(program, arguments)
    except NoValue:
        return False
    return bool(abs(value - example.number) <= 1e-6 * max(1.0, abs(example.number)))


def _read(cues: Mapping[str, Cue], example: Example) -> dict[str, Any] | None:
    return Wording(frozenset(), cues).read(example.question)


def _other_wordings(program: Expr, cues: Mapping[str, Cue], rest: list[Example]) -> list[_Reading]:
    """Find where the program's arguments stand in questions that are worded differently.

    Two examples must agree on a reading: with one, some reading nearly always fits.
    """
    readings: list[_Reading] = []
    likeness = Likeness(rest)
    tried: set[Example] = set()
    while open_ := [example for example in rest if example not in tried]:
        basis = [open_[0], *likeness.nearest(open_[0], rest, _SAME_FAMILY)[:2]]
        tried.update(basis)
        reading = _reading(program, cues, basis) if len(basis) > 1 else None
        if reading is not None:
            explained = tuple(e for e in rest if _explains(program, reading, e))
            readings.append((reading, explained))
            rest = [example for example in rest if example not in explained]
    return readings


def _reading(
    program: Expr, cues: Mapping[str, Cue], basis: Sequence[Example]
) -> dict[str, Cue] | None:
    places = find_places([example.question for example in basis])
    choices = [
        [cue for cue in places.cues.values() if cue.kind == cues[name].kind] for name in cues
    ]
    for chosen in islice(product(*choices), _READINGS):
        reading = dict(zip(cues, chosen, strict=True))
        if len(set(chosen)) == len(chosen) and all(
            _explains(program, reading, example) for example in basis
        ):
            return reading
    return None
