"""Turns a row into a task: field mapping, types, sizes, attachments."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from ...engine.errors import ConfigError, TaskError
from ...engine.tasks import Task
from .records import kind_of
from .settings import TEXT_CHARACTERS, SourceSettings


class Reader(Protocol):
    """Reads one row as a task.

    Raises:
        TaskError: Names where, the field, what was found and what is allowed.
    """

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row with checked access to its columns."""

    values: Mapping[str, Any]
    where: str

    def text(self, column: str) -> str:
        """Return a text that must be there."""
        value = self._present(column)
        if not isinstance(value, str):
            self.fail(column, f"must be text, found {kind_of(value)}")
        if not value.strip():
            self.fail(column, "must not be empty")
        return self._checked(column, value)

    def answer(self, column: str, *, needed: bool) -> str | None:
        """Return an answer as text; numbers and truth values are spelt as JSON does."""
        value = self.values.get(column)
        if value is None or value == "":
            if needed:
                found = (
                    "nothing" if column in self.values else f"no such column ({self._columns()})"
                )
                self.fail(column, f"the scorer needs a right answer here, found {found}")
            return None
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        if not isinstance(value, str):
            self.fail(column, f"must be text, a number, true or false, found {kind_of(value)}")
        return self._checked(column, value)

    def name(self, column: str) -> str:
        """Return an id: a text or a whole number."""
        value = self._present(column)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            self.fail(column, f"must be text or a whole number, found {kind_of(value)}")
        name = self._checked(column, str(value))
        if len(name) > 500:
            self.fail(column, f"an id holds at most 500 characters, found {len(name):,}")
        return name

    def rest(self, used: set[str]) -> dict[str, Any]:
        """Return every other column, as the task's metadata."""
        kept = {}
        for column, value in self.values.items():
            if column not in used and value is not None:
                kept[column] = self._checked(column, value) if isinstance(value, str) else value
        return kept

    def fail(self, column: str, reason: str) -> NoReturn:
        """Raise the error that names this row and a column."""
        raise TaskError(reason, file=self.where, key=column) from None

    def _present(self, column: str) -> Any:
        if column not in self.values:
            near = difflib.get_close_matches(column, self.values, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self.fail(column, f"there is no such column; {self._columns()}{hint}")
        return self.values[column]

    def _columns(self) -> str:
        names = list(self.values)
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        return f"the columns are {shown or 'none at all'}"

    def _checked(self, column: str, value: str) -> str:
        if len(value) > TEXT_CHARACTERS:
            self.fail(
                column,
                f"a text holds at most {TEXT_CHARACTERS:,} characters, found {len(value):,}",
            )
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            self.fail(column, f"character {error.start + 1} is half of a pair (a lone surrogate)")
        return value


class MappedReader:
    """Reads rows by the declared mapping. Columns that it does not name become metadata."""

    def __init__(self, settings: SourceSettings) -> None:
        fields = dict(settings.fields)
        if settings.category is not None:
            fields["category"] = settings.category
        doubled = [name for name, column in fields.items() if not isinstance(column, str)]
        if doubled:
            raise ConfigError("must name a column", key=f"tasks.fields.{doubled[0]}")
        self._id = fields.pop("id", None)
        self._prompt = fields.pop("prompt", "prompt")
        self._target = fields.pop("target", "target")
        self._files = fields.pop("files", "files")
        self._renamed = fields  # metadata name -> column
        self._needs_target = settings.needs_target
        self._folder = Path(settings.path).parent

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task:
        row = Row(values=values, where=where)
        id_column = self._id or "id"
        has_id = self._id is not None or "id" in values
        metadata = row.rest({id_column, self._prompt, self._target, self._files})
        for name, column in self._renamed.items():
            if column not in values:
                row.text(column)  # says which columns there are
            value = values[column]
            metadata[name] = _spelt(value) if name == "category" else value
        return Task(
            id=row.name(id_column) if has_id else default_id,
            prompt=row.text(self._prompt),
            target=row.answer(self._target, needed=self._needs_target),
            files=attachments(row, self._files, self._folder),
            metadata=metadata,
        )


def attachments(row: Row, column: str, folder: Path) -> dict[str, str]:
    """Return the files of a row: one path, a list of paths, or an object of name -> path.

    Raises:
        TaskError: A file is missing, or lies outside the folder that the rows' file is in.
    """
    value = row.values.get(column)
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(path, str) for path in value):
        value = {Path(path).name: path for path in value}
    if not isinstance(value, dict) or not all(isinstance(path, str) for path in value.values()):
        row.fail(column, "must be a path, a list of paths or an object of name: path, "
                 f"found {kind_of(value)}")  # fmt: skip
    return {
        _scratch_name(row, column, name): _inside(row, column, path, folder)
        for name, path in value.items()
    }


def _scratch_name(row: Row, column: str, name: str) -> str:
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        row.fail(column, f"{name!r} cannot be a file's name; no slashes are allowed")
    return name


def _inside(row: Row, column: str, path: str, folder: Path) -> str:
    root = folder.resolve()
    try:
        real = (root / path).resolve()
    except (OSError, ValueError):
        row.fail(column, f"{path!r} is no path")
    if not real.is_relative_to(root):
        row.fail(column, f"the attachment {path!r} lies outside of {folder}")
    if not real.is_file():
        row.fail(column, f"the attachment {path!r} is missing in {folder}")
    return str(real)


def _spelt(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
