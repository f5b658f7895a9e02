"""Finds the database and reads a run out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...storage.runs import RunReader

if TYPE_CHECKING:
    from ..views.story import Story

DEFAULT = ".funcforge/runs.db"


def open_reader(store: str | None) -> RunReader:
    """Open the database that a person named, or the working folder's.

    Raises:
        StoreError: It cannot be read; says which file and what to do.
    """
    return RunReader(store or DEFAULT)


def read_story(reader: RunReader, run_id: str) -> Story:
    """Read all that the views tell of a run.

    Raises:
        RunNotFound: There is no such run.
        StoreError: The database cannot be read.
    """
    from ..views.story import tell  # not needed to list runs

    return tell(reader.view(run_id))
