"""A database file that is only read, by whoever may read it, while a run may write to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..engine.errors import StoreError
from .problems import FACTS, check_version, translate
from .queries import queries

BUSY_TIMEOUT_S = 5.0

# what SQLite says when it may not make its side files beside the database
_NO_FOLDER = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


class ReadOnlyFile:
    """The statements of queries.sql over a file; a missing or empty file answers nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = self._open()

    def read(self, query: str, **parameters: Any) -> Sequence[Mapping[str, Any]]:
        """Return the rows that a statement finds."""
        if self._connection is None:
            return ()
        try:
            found = self._connection.execute(queries()[query], parameters).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        return [dict(row) for row in found]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Show every query within the same state of the file."""
        if self._connection is None:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        if self.path.is_dir():
            raise StoreError(
                f"{self.path}: this is a folder. Name the database in it", path=str(self.path)
            )
        if not self.path.exists() or self.path.stat().st_size == 0:
            return None
        try:
            try:
                return self._connect("mode=ro")
            except sqlite3.OperationalError as error:
                wal = self.path.with_name(self.path.name + "-wal")
                if error.sqlite_errorcode & 0xFF not in _NO_FOLDER or wal.exists():
                    raise
            # in a folder where we may not write, and nobody else does
            return self._connect("immutable=1")
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def _connect(self, option: str) -> sqlite3.Connection | None:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?{option}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
        )
        version = 0
        try:
            version = check_version(connection.execute(FACTS).fetchone(), self.path)
        finally:
            if version == 0:
                connection.close()
        connection.row_factory = sqlite3.Row
        return connection if version else None
