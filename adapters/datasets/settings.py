"""Where tasks come from and how they are split, as a config says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...engine.tasks import Split

Kind = Literal[
    "jsonl", "csv", "parquet", "huggingface", "gsm8k", "math", "tabmwp", "gaia", "api_bank"
]

LINE_BYTES = 16_000_000  # one row of a file
TEXT_CHARACTERS = 1_000_000  # one text field; more than any model reads


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One set of tasks."""

    path: str  # file or folder; Hugging Face: name of the data set or a folder
    kind: Kind = "jsonl"
    # Hugging Face: the configuration's name; api_bank: "calls" (None) or "replies"
    subset: str | None = None
    split: str | None = None  # Hugging Face: the split's name there
    # task field (id, prompt, target, files, category or any other name) -> column
    fields: Mapping[str, str] = field(default_factory=dict)
    category: str | None = None  # column with the category
    limit: int | None = None  # read no more rows than this
    needs_target: bool = False  # whether a row without an answer is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """One split: how many tasks, and where from if not from the common path."""

    count: int | Literal["rest"] = "rest"
    path: str | None = None
    split: str | None = None
    categories: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # categories of what was drawn; empty: all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """The tasks of a run. The fields mean what they mean in `SourceSettings`."""

    kind: Kind = "jsonl"
    path: str | None = None
    subset: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    category: str | None = None
    stratify: bool = False
    limit: int | None = None
    needs_target: bool = False
    splits: Mapping[Split, SplitSettings] = field(default_factory=dict)
