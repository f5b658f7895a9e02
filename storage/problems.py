"""Translates what SQLite and the file system say into `StoreError`s that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..engine.errors import StoreCorrupt, StoreError, StoreLocked

_RESUME = "then resume the run: everything acknowledged before is kept"


def translate(error: Exception, path: Path) -> StoreError:
    """Return our error for a foreign one, with the file and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the family
    where = str(path)
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreLocked(
                f"{where}: another process holds the database. Close it (fuser {where}), {_RESUME}",
                path=where,
            )
        case sqlite3.SQLITE_NOTADB:
            return StoreCorrupt(
                f"{where}: this file is not a funcforge database. It was left as it is; name "
                "another file, or move this one away",
                path=where,
            )
        case sqlite3.SQLITE_CORRUPT:
            return StoreCorrupt(
                f"{where}: the database is damaged ({error}). It was left as it is. Rescue its "
                f"rows with: sqlite3 {where} .recover | sqlite3 rescued.db",
                path=where,
            )
    return StoreError(f"{where}: {_advice(code, error, path)}", path=where)


def _advice(code: int, error: Exception, path: Path) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return f"the disk is full. Free space on it, {_RESUME}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return (
                f"the database cannot be written ({error}). Give this user the right to write the "
                f"file and its folder {path.parent}, {_RESUME}"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return (
                f"the database cannot be opened or made ({error}). Check that the folder "
                f"{path.parent} exists and that this user may write in it"
            )
        case sqlite3.SQLITE_IOERR:
            return f"reading or writing failed ({error}). Check the disk, {_RESUME}"
    return f"the database refused a statement ({type(error).__name__}: {error})"
