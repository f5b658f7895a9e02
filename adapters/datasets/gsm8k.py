"""GSM8K: grade-school word problems (Cobbe et al., arXiv 2110.14168)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.tasks import Task
from .rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Gsm8kReader:
    """Columns `question` and `answer`; the answer's last line is `#### N`."""

    needs_target: bool = True

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task:
        row = Row(values=values, where=where)
        solution = row.answer("answer", needed=self.needs_target)
        worked, mark, target = (solution or "").rpartition("####")
        if solution is not None and not (mark and target.strip()):
            row.fail("answer", "must end with a line '#### N'")
        metadata = row.rest({"question", "answer"})
        if mark:
            metadata["solution"] = worked.strip()
        return Task(
            id=row.name("id") if "id" in values else default_id,
            prompt=row.text("question"),
            target=target.strip() or None,
            metadata=metadata,
        )
