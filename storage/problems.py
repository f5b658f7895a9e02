"""Translates what SQLite and the file system say into `StoreError`s that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ..engine.errors import StoreCorrupt, StoreError, StoreLocked, StoreTooNew

_RESUME = "then resume the run: everything acknowledged before is kept"


APPLICATION_ID = 0x66756E63  # "func": tells our files from other programs' databases
VERSION = 1  # of schema.sql and the migrations after it
FACTS = (
    "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema) "
    "FROM pragma_user_version, pragma_application_id"
)


def check_version(facts: Sequence[int], path: Path) -> int:
    """Return the version of a file, 0 if it is empty.

    Args:
        facts: The answer to `FACTS`.

    Raises:
        StoreCorrupt: It is another program's.
        StoreTooNew: A newer funcforge wrote it.
    """
    version, application, _ = facts
    if application != APPLICATION_ID and any(facts):
        raise StoreCorrupt(
            f"{path}: this database belongs to another program. It was left as it is; name "
            "another file",
            path=str(path),
        )
    if version > VERSION:
        raise StoreTooNew(
            f"{path}: a newer funcforge wrote this database (version {version}, this one reads up "
            f"to {VERSION}). Upgrade funcforge, or name another file",
            path=str(path),
        )
    return version


def translate(error: Exception, path: Path) -> StoreError:
    """Return our error for a foreign one, with the file and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the family
    where = str(path)
    said = getattr(error, "sqlite_errorname", type(error).__name__) + f": {error}"
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
                f"{where}: the database is damaged ({said}). It was left as it is. Rescue its "
                f"rows with: sqlite3 {where} .recover | sqlite3 rescued.db",
                path=where,
            )
    return StoreError(f"{where}: {_advice(code, said, path)}", path=where)


def _advice(code: int, said: str, path: Path) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return f"the disk is full. Free space on it, {_RESUME}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return (
                f"the database cannot be written ({said}). Give this user the right to write the "
                f"file and its folder {path.parent}, {_RESUME}"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return (
                f"the database cannot be opened or made ({said}). Check that the folder "
                f"{path.parent} exists and that this user may write in it"
            )
        case sqlite3.SQLITE_IOERR:
            return (
                f"reading or writing failed ({said}). Check the disk, and that nobody removes the "
                f"file, {_RESUME}"
            )
    return f"the database refused a statement ({said})"
