"""Finds short programs over given numbers that give the right answers.

Bottom-up enumeration of everything with two leaves, then meet in the middle: for a first half x
and an operation, the second half must lie in a known interval, which one look-up in a sorted bank
finds.
That reaches five leaves in a fraction of a second without numpy.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .leaves import Leaf
from .program import Expr, NoValue, const, operate

Interval = tuple[float, float]
_NOTHING: Interval = (math.inf, -math.inf)
_CONSTANTS = (1, 2, 3, 4, 5, 7, 10, 12, 24, 60, 100, 1000, math.pi)
_EXACT = 1e-9  # relative; what floats lose on the way
_LARGEST_DIVISOR = 20  # of a straight line's slope
_DEEP_EXAMPLES = 3  # with fewer, some long program nearly always fits
_ENOUGH = 12  # programs of one depth that are worth checking


@dataclass(frozen=True, slots=True)
class Aim:
    """What the programs must give: an interval per example, and the rounding put on top."""

    bounds: tuple[Interval, ...]
    wrap: Callable[[Expr], Expr]
    deep: bool  # whether the intervals are narrow enough for a long search to mean anything


def aims(targets: Sequence[float], decimals: int) -> list[Aim]:
    """Return the ways in which the answers may have been rounded, the plainest first."""

    def around(below: float, above: float) -> tuple[Interval, ...]:
        return tuple((t - below - _slack(t), t + above + _slack(t)) for t in targets)

    half = 0.5 * 10.0**-decimals
    rounded = Aim(around(half, half), lambda p: Expr("round", (p, const(decimals))), decimals > 0)
    if decimals:
        return [rounded]
    return [
        Aim(around(0, 0), lambda program: program, True),
        Aim(around(1 - 2e-9, 0), lambda program: Expr("ceil", (program,)), False),
        Aim(around(0, 1 - 2e-9), lambda program: Expr("floor", (program,)), False),
        rounded,
    ]


def search(leaves: Sequence[Leaf], aim: Aim) -> list[Expr]:
    """Return programs that meet the aim on every example, the shortest first.

    Only the lowest depth that has any is looked at: longer ones explain no more.
    """
    if not leaves:
        return []
    pivot = max(range(len(aim.bounds)), key=lambda i: _sharpness(aim.bounds[i]))
    ones = _distinct([*leaves, *_constants(len(aim.bounds))])
    pairs = _distinct([*leaves, *_pairs(leaves)])
    bank = _Bank(_distinct([*ones, *pairs, *_with_constants(leaves)]), pivot)
    depths: list[Callable[[], Iterable[Expr]]] = [
        lambda: bank.within(aim.bounds),
        lambda: _fitted(pairs, leaves, aim.bounds) if aim.deep and len(aim.bounds) > 1 else (),
        lambda: _halves(bank.entries, bank, aim.bounds),
    ]
    if aim.deep and len(aim.bounds) >= _DEEP_EXAMPLES:
        depths.append(lambda: _thirds(leaves, pairs, bank, aim.bounds))
    for depth in depths:
        found = [p for p in _first(depth(), 40 * _ENOUGH) if p.arguments()]
        if found:
            return sorted(map(aim.wrap, found), key=lambda p: (p.size, str(p)))[:_ENOUGH]
    return []


class _Bank:
    """Programs sorted by their value on one example."""

    def __init__(self, entries: Sequence[Leaf], pivot: int) -> None:
        self.entries = sorted(entries, key=lambda entry: entry.values[pivot])
        self.pivot = pivot
        self._keys = [entry.values[pivot] for entry in self.entries]

    def within(self, bounds: Sequence[Interval]) -> Iterator[Expr]:
        for entry in self.between(bounds[self.pivot]):
            if all(lo <= v <= hi for v, (lo, hi) in zip(entry.values, bounds, strict=True)):
                yield entry.program

    def has(self, bound: Interval) -> bool:
        """Whether any entry lies there; most questions end here."""
        first = bisect_left(self._keys, bound[0])
        return first < len(self._keys) and self._keys[first] <= bound[1]

    def between(self, bound: Interval) -> Sequence[Leaf]:
        first = bisect_left(self._keys, bound[0])
        return self.entries[first : bisect_right(self._keys, bound[1], lo=first)]


# x op y = t, solved for y: the operation, whether x stands left, and y's bounds from x and t
_Inverse = tuple[str, bool, Callable[[float, Interval], Interval]]


def _over(x: float, t: Interval) -> Interval:
    return _ordered(x / t[0], x / t[1]) if x and t[0] * t[1] > 0 else _NOTHING


def _scaled(x: float, t: Interval) -> Interval:
    return _ordered(t[0] * x, t[1] * x) if x else _NOTHING


def _divided(x: float, t: Interval) -> Interval:
    return _ordered(t[0] / x, t[1] / x) if x else _NOTHING


def _ordered(a: float, b: float) -> Interval:
    return (a, b) if a <= b else (b, a)


_INVERSES: tuple[_Inverse, ...] = (
    ("+", True, lambda x, t: (t[0] - x, t[1] - x)),
    ("-", True, lambda x, t: (x - t[1], x - t[0])),
    ("-", False, lambda x, t: (t[0] + x, t[1] + x)),
    ("*", True, _divided),
    ("/", True, _over),
    ("/", False, _scaled),
)


def _solve(x: Leaf, inverse: _Inverse, bounds: Sequence[Interval]) -> list[Interval]:
    return [inverse[2](v, bound) for v, bound in zip(x.values, bounds, strict=True)]


def _join(op: str, x: Expr, x_left: bool, y: Expr) -> Expr:
    return Expr(op, (x, y) if x_left else (y, x))


def _halves(firsts: Sequence[Leaf], bank: _Bank, bounds: Sequence[Interval]) -> Iterator[Expr]:
    pivot = bank.pivot
    for x in firsts:
        for inverse in _INVERSES:
            if bank.has(inverse[2](x.values[pivot], bounds[pivot])):
                for y in bank.within(_solve(x, inverse, bounds)):
                    yield _join(inverse[0], x.program, inverse[1], y)


def _thirds(
    leaves: Sequence[Leaf], pairs: Sequence[Leaf], bank: _Bank, bounds: Sequence[Interval]
) -> Iterator[Expr]:
    """(x + y) / z with z a sum, for weighted means; then (x op y) op z with z one leaf."""
    products = [pair for pair in pairs if pair.program.op == "*"]
    for z in (pair for pair in pairs if pair.program.op == "+"):
        inner = [_scaled(v, bound) for v, bound in zip(z.values, bounds, strict=True)]
        for x in products:
            for y in bank.within(_solve(x, _INVERSES[0], inner)):
                yield Expr("/", (Expr("+", (x.program, y)), z.program))
    few = [Leaf((c,) * len(bounds), const(c)) for c in (2.0, 3.0)]
    for z in (*leaves, *few):
        for inverse in _INVERSES:
            inner = _solve(z, inverse, bounds)
            if inner[bank.pivot][0] <= inner[bank.pivot][1]:
                for xy in _halves(pairs, bank, inner):
                    yield _join(inverse[0], z.program, inverse[1], xy)


def _fitted(
    pairs: Sequence[Leaf], leaves: Sequence[Leaf], bounds: Sequence[Interval]
) -> Iterator[Expr]:
    """A factor that all examples share, or a straight line through them (conversions)."""
    for x in pairs:
        ratios = [_divided(v, bound) for v, bound in zip(x.values, bounds, strict=True)]
        factor = _simplest(max(lo for lo, _ in ratios), min(hi for _, hi in ratios))
        if factor and len(set(x.values)) > 1:
            yield Expr("*", (x.program, const(factor)))
    if len(bounds) > 2:
        for x in leaves:
            yield from _lines(x, bounds)


def _lines(x: Leaf, bounds: Sequence[Interval]) -> Iterator[Expr]:
    """Straight lines (x - start) * p / q with small p and q."""
    left = min(range(len(bounds)), key=x.values.__getitem__)
    right = max(range(len(bounds)), key=x.values.__getitem__)
    run = x.values[right] - x.values[left]
    if not run:
        return
    low, high = bounds[right][0] - bounds[left][1], bounds[right][1] - bounds[left][0]
    for q in range(1, _LARGEST_DIVISOR):
        for p in range(math.ceil(low / run * q), math.floor(high / run * q) + 1):
            starts = [(v, _scaled(-q / p, b)) for v, b in zip(x.values, bounds, strict=True) if p]
            start = _simplest(
                max((v + lo for v, (lo, _) in starts), default=math.inf),
                min((v + hi for v, (_, hi) in starts), default=-math.inf),
            )
            if start is not None and math.gcd(p, q) == 1:
                shifted = Expr("-", (x.program, const(start)))
                yield Expr("/", (Expr("*", (shifted, const(p))), const(q)))


def _simplest(low: float, high: float) -> float | None:
    """Return the number with the fewest decimals between two bounds, if there is room."""
    if not low <= high or not math.isfinite(low) or not math.isfinite(high):
        return None
    for digits in range(10):
        candidate: float = round(math.ceil(low * 10**digits) / 10**digits, digits)
        if low <= candidate <= high:
            return candidate
    return (low + high) / 2


def _constants(count: int) -> list[Leaf]:
    return [Leaf((float(c),) * count, const(c)) for c in _CONSTANTS]


def _pairs(leaves: Sequence[Leaf]) -> Iterator[Leaf]:
    for i, x in enumerate(leaves):
        for j, y in enumerate(leaves):
            if i != j:
                if i < j:
                    yield from _combined(("+", "*", "gcd", "lcm"), x, y)
                yield from _combined(("-", "/"), x, y)
                if x.program.op in ("up", "down"):
                    yield from _combined(("**",), x, y)


def _with_constants(leaves: Sequence[Leaf]) -> Iterator[Leaf]:
    for x in leaves:
        for c in _constants(len(x.values)):
            yield from _combined(("+", "-", "*", "/"), x, c)
            yield from _combined(("-", "/"), c, x)
        yield from _combined(("**",), x, Leaf((2.0,) * len(x.values), const(2)))


def _combined(ops: Sequence[str], x: Leaf, y: Leaf) -> Iterator[Leaf]:
    for op in ops:
        try:
            values = tuple(
                float(operate(op, a, b)) for a, b in zip(x.values, y.values, strict=True)
            )
        except NoValue:
            continue
        yield Leaf(values, Expr(op, (x.program, y.program)))


def _distinct(entries: Iterable[Leaf]) -> list[Leaf]:
    """Keep the shortest of the programs that give the same on every example."""
    best: dict[tuple[str, ...], Leaf] = {}
    for entry in entries:
        key = tuple(f"{value:.10g}" for value in entry.values)
        if key not in best or entry.program.size < best[key].program.size:
            best[key] = entry
    return list(best.values())


def _first(programs: Iterable[Expr], count: int) -> Iterator[Expr]:
    seen: set[Expr] = set()
    for program in programs:
        if program not in seen:
            seen.add(program)
            yield program
        if len(seen) >= count:
            return


def _slack(target: float) -> float:
    return max(abs(target), 1.0) * _EXACT


def _sharpness(bound: Interval) -> float:
    return abs(bound[0] + bound[1]) / (bound[1] - bound[0])
