"""GAIA: questions for general assistants (Mialon et al., arXiv 2311.12983)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...engine.tasks import Task
from .records import kind_of
from .rows import Row, attachments

HIDDEN = "?"  # the answer in the test split


@dataclass(frozen=True, slots=True, kw_only=True)
class GaiaReader:
    """The shape of `metadata.jsonl` and `metadata.parquet`; attachments lie beside it."""

    folder: Path
    needs_target: bool = True

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task:
        row = Row(values=values, where=where)
        level = str(values.get("Level", ""))
        if level not in ("1", "2", "3"):
            row.fail("Level", f"must be 1, 2 or 3, found {kind_of(values.get('Level'))}")
        target = row.answer("Final answer", needed=self.needs_target)
        if target == HIDDEN:
            if self.needs_target:
                row.fail("Final answer", "is hidden ('?'): the test split cannot be scored here")
            target = None
        files = attachments(row, "file_name", self.folder)
        prompt = row.text("Question")
        if files:
            prompt += f"\n\nAttached file: {', '.join(files)}"
        metadata = row.rest({"task_id", "Question", "Final answer", "file_name", "file_path"})
        metadata["category"] = level
        return Task(
            id=row.name("task_id"), prompt=prompt, target=target, files=files, metadata=metadata
        )
