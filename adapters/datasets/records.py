"""Files of rows that can be read again by offset: JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol

from ...engine.errors import TaskError
from .settings import LINE_BYTES

Values = Mapping[str, Any]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# made once: `json.loads` makes one per call as soon as it is given an option
_STRICT = json.JSONDecoder(parse_constant=_no_constant)
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 and UTF-32 files begin so


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row and where it stands."""

    offset: int
    size: int  # bytes
    line: int  # from 1
    values: Values


class Records(Protocol):
    """A file of rows."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def open(self) -> IO[bytes]: ...

    def scan(self) -> Iterator[Record]:
        """Read all rows.

        Raises:
            TaskError: A row is not what the format says; names file and line.
        """
        ...

    def parse(self, data: bytes, line: int) -> Values:
        """Read one row again."""
        ...


class JsonLines:
    """One JSON object a line; empty lines are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def open(self) -> IO[bytes]:
        """Open the file."""
        return open_file(self._path)

    def scan(self) -> Iterator[Record]:
        """Read all rows."""
        for offset, line, data in lines_of(self):
            if data.strip():
                values = self.parse(data, line)
                yield Record(offset=offset, size=len(data), line=line, values=values)

    def parse(self, data: bytes, line: int) -> Values:
        """Read one row."""
        text = decode(data, self.name, line)
        try:
            values = _STRICT.decode(text)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else error
            raise TaskError(f"not valid JSON: {reason}", file=at(self.name, line)) from None
        if not isinstance(values, dict):
            raise TaskError(
                f"a row must be a JSON object, found {kind_of(values)}", file=at(self.name, line)
            )
        return values


class SpooledLines(JsonLines):
    """Rows of another format, written once into a temporary file that nobody else sees."""

    def __init__(self, name: str, rows: Iterator[Values]) -> None:
        import tempfile
        import weakref

        super().__init__(Path(name))
        self._file = tempfile.TemporaryFile(prefix="funcforge-")  # noqa: SIM115 - lives as long as the set
        weakref.finalize(self, self._file.close)
        for row in rows:
            self._file.write(json.dumps(row, ensure_ascii=True, default=_plain).encode() + b"\n")
        self._file.flush()

    def open(self) -> IO[bytes]:
        """Open the temporary file once more, from its start."""
        copy = os.dup(self._file.fileno())
        os.lseek(copy, 0, os.SEEK_SET)  # shared with the original, which is never read
        return os.fdopen(copy, "rb")

    def parse(self, data: bytes, line: int) -> Values:
        """Read one row. NaN, which tables use for "nothing", is read as null."""
        values: Values = json.loads(data, parse_constant=lambda _: None)
        return values


class CsvRecords:
    """Comma-separated rows under a header; `.tsv` files use tabs. Cells may hold line ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)
        self._delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        self._header: list[str] = []

    def open(self) -> IO[bytes]:
        """Open the file."""
        return open_file(self._path)

    def scan(self) -> Iterator[Record]:
        """Read all rows."""
        end = [0, 0]  # offset and line behind what the reader has taken so far

        def feed() -> Iterator[str]:
            for offset, line, data in lines_of(self):
                end[:] = [offset + len(data), line]
                if b"\0" in data:
                    raise TaskError("holds a NUL byte; not a CSV", file=at(self.name, line))
                yield decode(data, self.name, line)

        reader = csv.reader(feed(), delimiter=self._delimiter, strict=True)
        offset, line = 0, 1
        self._header = []
        for cells in self._rows(reader, end):
            if not self._header:
                self._header = self._check_header(cells)
            elif cells:
                values = self._values(cells, line)
                yield Record(offset=offset, size=end[0] - offset, line=line, values=values)
            offset, line = end[0], end[1] + 1

    def parse(self, data: bytes, line: int) -> Values:
        """Read one row again."""
        text = decode(data, self.name, line)
        lines = io.StringIO(text, newline="\n")  # split as `lines_of` does, nowhere else
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        return self._values(next(reader), line)

    def _rows(self, reader: Iterator[list[str]], end: list[int]) -> Iterator[list[str]]:
        try:
            yield from reader
        except csv.Error as error:
            limit = csv.field_size_limit()
            hint = (
                f"; a cell holds at most {limit:,} characters, or a quote is never closed"
                if "limit" in str(error)
                else ""
            )
            raise TaskError(f"not valid CSV: {error}{hint}", file=at(self.name, end[1])) from None

    def _check_header(self, cells: list[str]) -> list[str]:
        header = [cell.strip() for cell in cells]
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise TaskError(f"two columns are named {twice[0]!r}", file=at(self.name, 1))
        return header

    def _values(self, cells: list[str], line: int) -> Values:
        if len(cells) != len(self._header):
            raise TaskError(
                f"a row must have {len(self._header)} cells as the header has, found {len(cells)}",
                file=at(self.name, line),
            )
        return {name: cell or None for name, cell in zip(self._header, cells, strict=True)}


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading bytes.

    Raises:
        TaskError: It cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        _unreadable(path, error)


def lines_of(records: Records) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, number and bytes of each line, the mark at the file's start left out."""
    with records.open() as file:
        offset = 0
        start = file.read(4)
        if start.startswith(_WIDE_MARKS):
            raise TaskError("is UTF-16 or UTF-32; save it as UTF-8", file=records.name)
        if start.startswith(b"\xef\xbb\xbf"):
            offset = 3
        file.seek(offset)
        number = 0
        while data := file.readline(LINE_BYTES + 1):
            number += 1
            if len(data) > LINE_BYTES:
                raise TaskError(
                    f"a row holds at most {LINE_BYTES:,} bytes", file=at(records.name, number)
                )
            yield offset, number, data
            offset += len(data)


def decode(data: bytes, name: str, line: int) -> str:
    """Read UTF-8.

    Raises:
        TaskError: Names the first wrong byte.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"not valid UTF-8: byte {data[error.start]:#04x} at column {error.start + 1}; "
            "a file must be UTF-8 throughout",
            file=at(name, line),
        ) from None


def at(name: str, line: int) -> str:
    """Return how messages name a line."""
    return f"{name}, line {line}"


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in the words of messages."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"{str(value).lower()}"
        case int() | float():
            return f"the number {str(value)[:40]}"
        case str():
            return f"the text {value[:40]!r}"
        case list():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


def _plain(value: Any) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def _unreadable(path: Path, error: OSError) -> NoReturn:
    if path.is_dir():
        raise TaskError("is a folder; a file is due", file=str(path)) from None
    raise TaskError(f"cannot be read: {error.strerror}", file=str(path)) from None
