"""A table as a figure: test accuracy before and after, row by row, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..views.text import one_line
from .rows import Row, Spread

_WIDTH, _LABELS, _ROW, _TOP = 860, 300, 30, 56  # pixels
_LEFT, _RIGHT = _LABELS, _WIDTH - 30
_GREY, _BLUE, _INK = "#9aa0a6", "#1a6fb5", "#202124"


def svg(title: str, rows: Sequence[Row]) -> str:
    """Return the figure: hollow is before, full is after, small dots are single seeds."""
    height = _TOP + _ROW * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{_INK}" role="img" '
        f'aria-label="{_text(title, 200)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="16" font-weight="600">{_text(title, 100)}</text>',
        '<text x="12" y="42" fill="#5f6368">test accuracy: hollow before, full after training; '
        "bars are ± one standard deviation over the seeds</text>",
        *_axis(_TOP + _ROW * len(rows)),
    ]
    for at, row in enumerate(rows):
        parts += _row(row, _TOP + _ROW * at + _ROW // 2)
    return "\n".join([*parts, "</svg>", ""])


def _axis(bottom: int) -> Iterator[str]:
    for percent in range(0, 101, 20):
        x = _x(percent / 100)
        yield f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="#e8eaed"/>'
        yield f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{percent} %</text>'


def _row(row: Row, y: int) -> Iterator[str]:
    yield f'<text x="{_LEFT - 14}" y="{y + 4}" text-anchor="end">{_text(row.name, 42)}</text>'
    before, after = row.score("test", 0), row.score("test", 1)
    if before is not None and after is not None:
        yield _bar(before.mean, after.mean, y, _GREY, 2)
    for side, spread, colour in ((0, before, _GREY), (1, after, _BLUE)):
        if spread is None:
            continue
        yield from _whisker(spread, y, colour)
        yield from (_dot(value, y, colour, 2.5, hollow=False) for value in spread.values)
        yield _dot(spread.mean, y, colour, 6, hollow=side == 0)


def _whisker(spread: Spread, y: int, colour: str) -> Iterator[str]:
    if spread.deviation:
        low, high = spread.mean - spread.deviation, spread.mean + spread.deviation
        yield _bar(max(low, 0.0), min(high, 1.0), y, colour, 5, opacity=0.35)


def _bar(low: float, high: float, y: int, colour: str, width: int, opacity: float = 1) -> str:
    return (
        f'<line x1="{_x(low)}" y1="{y}" x2="{_x(high)}" y2="{y}" stroke="{colour}" '
        f'stroke-width="{width}" stroke-opacity="{opacity:g}"/>'
    )


def _dot(value: float, y: int, colour: str, radius: float, *, hollow: bool) -> str:
    fill = "#ffffff" if hollow else colour
    return (
        f'<circle cx="{_x(value)}" cy="{y}" r="{radius:g}" fill="{fill}" stroke="{colour}" '
        'stroke-width="2"/>'
    )


def _x(share: float) -> str:
    return f"{_LEFT + (_RIGHT - _LEFT) * share:.1f}"


def _text(text: str, width: int) -> str:
    return escape(one_line(text, width), quote=True)
