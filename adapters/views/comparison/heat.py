"""A matrix as a heat map: the colours of its cells, and the whole as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..text import one_line
from .tables import Table

GAIN, LOSS, PAPER, INK = "#2f6fd0", "#d9730d", "#ffffff", "#1c2024"
_STRONGEST = 0.62  # of the colour: text stays readable on it
_FAINTEST = 0.05  # the largest gain of a matrix is seen against no less than 5 points
_LABEL, _CELL, _ROW, _TOP = 250, 236, 34, 64  # pixels
_CHARACTERS = 34  # of a label


def shades(table: Table) -> tuple[tuple[str, ...], ...]:
    """Return the colour of every cell, "" where it has none: blue for a gain, orange for a loss."""
    known = [abs(value) for row in table.heat for value in row if value is not None]
    reach = max([_FAINTEST, *known])
    return tuple(
        tuple("" if value is None else _mixed(value / reach) for value in row) for row in table.heat
    )


def _mixed(share: float) -> str:
    part = min(abs(share), 1.0) * _STRONGEST
    strong = GAIN if share > 0 else LOSS
    channels = (
        round(int(PAPER[at : at + 2], 16) * (1 - part) + int(strong[at : at + 2], 16) * part)
        for at in (1, 3, 5)
    )
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def svg(matrices: Sequence[Table]) -> str:
    """Return the matrices below one another as one figure. All text in it is escaped."""
    width = 24 + _LABEL + _CELL * max(len(table.head) - 1 for table in matrices)
    heights = [_TOP + _ROW * (len(table.rows) + 1) + 20 for table in matrices]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {sum(heights)}" '
        f'width="{width}" height="{sum(heights)}" font-family="system-ui, sans-serif" '
        f'font-size="13" fill="{INK}" role="img">',
        f'<rect width="{width}" height="{sum(heights)}" fill="{PAPER}"/>',
    ]
    top = 0
    for table, height in zip(matrices, heights, strict=True):
        parts += _matrix(table, top)
        top += height
    return "\n".join([*parts, "</svg>", ""])


def _matrix(table: Table, top: int) -> Iterator[str]:
    yield _text(12, top + 24, table.title, 90, 'font-size="16" font-weight="600"')
    yield _text(12, top + 44, table.note, 160, 'fill="#60646c"')
    line = top + _TOP + 22
    for column, name in enumerate(table.head[1:]):
        x = 12 + _LABEL + _CELL * column + _CELL // 2
        yield _text(x, line, name, _CHARACTERS, 'text-anchor="middle" font-weight="600"')
    for row, (cells, colours) in enumerate(zip(table.rows, shades(table), strict=True), start=1):
        y = top + _TOP + _ROW * row
        yield _text(12, y + 22, cells[0], _CHARACTERS, 'font-weight="600"')
        for column, (cell, colour) in enumerate(zip(cells[1:], colours[1:], strict=True)):
            x = 12 + _LABEL + _CELL * column
            yield (
                f'<rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_ROW - 2}" rx="4" '
                f'fill="{colour or "#f1f3f5"}"/>'
            )
            yield _text(x + _CELL // 2, y + 22, cell, 44, 'text-anchor="middle" font-size="12"')


def _text(x: int, y: int, text: str, most: int, more: str) -> str:
    return f'<text x="{x}" y="{y}" {more}>{escape(one_line(text, most))}</text>'
