r"""MATH: competition problems (Hendrycks et al., arXiv 2103.03874)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...engine.agents.answers import last_boxed
from ...engine.errors import TaskError
from ...engine.tasks import Task
from .records import JsonLines, Values
from .rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class MathReader:
    r"""Columns `problem`, `solution`, `level`, `type`; the answer is the solution's last box.

    An `answer` column, which some copies add, goes before the box.
    """

    needs_target: bool = True

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task:
        row = Row(values=values, where=where)
        target = row.answer("answer", needed=False)
        solution = row.answer("solution", needed=self.needs_target and target is None)
        if target is None and solution is not None:
            target = last_boxed(solution)
            if target is None and self.needs_target:
                row.fail("solution", r"must hold the answer in \boxed{...}")
        metadata = row.rest({"problem"})
        metadata["category"] = str(values.get("type", ""))
        return Task(id=_name(row, default_id), prompt=row.text("problem"), target=target,
                    metadata=metadata)  # fmt: skip


def _name(row: Row, default_id: str) -> str:
    for column in ("unique_id", "id", "idx"):
        if column in row.values:
            return row.name(column)
    return default_id


def problem_files(folder: Path) -> Iterator[Values]:
    """Read the upstream layout: a folder of folders with a JSON file per problem.

    Raises:
        TaskError: There is no such file in it, or one is no JSON object.
    """
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise TaskError("holds no .json file of a problem", file=str(folder))
    for path in paths:
        reader = JsonLines(path)
        with reader.open() as file:
            data = file.read()
        # a problem's file may be spread over lines; what is one value is one row
        values = reader.parse(data, 1)
        yield json.loads(json.dumps({"id": str(path.relative_to(folder)), **values}))
