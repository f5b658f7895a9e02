"""TabMWP: word problems over tables (Lu et al., arXiv 2209.14610)."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ...engine.errors import TaskError
from ...engine.tasks import Task
from .records import Values, decode, kind_of, open_file
from .rows import Row

FILE_BYTES = 500_000_000  # the whole set is one JSON object; upstream's largest has 30 MB
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class TabmwpReader:
    """The table as text in the prompt; `TableFiles` adds it as a file."""

    needs_target: bool = True

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task:
        row = Row(values=values, where=where)
        choices = values.get("choices")
        if choices is not None and not _texts(choices):
            row.fail("choices", f"must be a list of texts or null, found {kind_of(choices)}")
        table = values.get("table_for_pd")
        if table is not None and not (
            isinstance(table, dict) and all(_texts(cells) for cells in table.values())
        ):
            row.fail("table_for_pd", "must be an object of column name: list of texts")
        metadata = row.rest({"question", "answer", "pid", "table"})
        metadata["category"] = str(values.get("ans_type", ""))
        return Task(
            id=row.name("pid"),
            prompt=_prompt(row, choices),
            target=row.answer("answer", needed=self.needs_target),
            metadata=metadata,
        )


def problems(path: Path) -> Iterator[Values]:
    """Read the upstream file: one object, problem id -> problem.

    Raises:
        TaskError: It is not.
    """
    with open_file(path) as file:
        data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise TaskError(f"a file holds at most {FILE_BYTES:,} bytes", file=str(path))
    try:
        found = json.loads(decode(data.removeprefix(b"\xef\xbb\xbf"), str(path), 1))
    except (ValueError, RecursionError) as error:
        raise TaskError(f"not valid JSON: {error}", file=str(path)) from None
    if not isinstance(found, dict):
        raise TaskError(
            f"must be a JSON object of id: problem, found {kind_of(found)}", file=str(path)
        )
    for name, problem in found.items():
        if not isinstance(problem, dict):
            raise TaskError(
                f"a problem must be a JSON object, found {kind_of(problem)}",
                file=str(path),
                key=name,
            )
        yield {"pid": name, **problem}


class TableFiles:
    """Writes each task's table as `table.csv` when the task is handed out, for pandas.

    The files live as long as the task set that this belongs to.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="funcforge-tables-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def __call__(self, task: Task) -> Task:
        table = task.metadata.get("table_for_pd")
        if not isinstance(table, dict) or not table:
            return task
        path = self._folder / (re.sub(r"\W", "_", task.id)[:80] + ".csv")
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([name.strip() for name in table])
                writer.writerows(zip_longest(*table.values(), fillvalue=""))
            part.replace(path)  # whole or not at all: another episode may read it right now
        return replace(task, files={"table.csv": str(path)})


def _prompt(row: Row, choices: Sequence[str] | None) -> str:
    title = row.values.get("table_title")
    table = row.text("table")
    parts = [f"Table: {title}\n{table}" if isinstance(title, str) and title else f"Table:\n{table}"]
    if isinstance(row.values.get("table_for_pd"), dict):
        parts.append("The table is also in the file table.csv.")
    question = row.text("question")
    unit = row.values.get("unit")
    if isinstance(unit, str) and unit:
        question += f" (unit: {unit})"
    parts.append(f"Question: {question}")
    if choices:
        options = " ".join(f"({LETTERS[n % 26]}) {text}" for n, text in enumerate(choices))
        parts.append(f"Options: {options}")
    return "\n\n".join(parts)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
