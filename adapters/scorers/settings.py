"""Who judges an answer, as a config says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSettings:
    """Settings of `make_scorer`.

    `kind` is exact, numeric, multiple_choice, text_overlap, math, gsm8k, tabmwp, gaia,
    model_graded, or a person's own `module:function` or `file.py:function`.
    """

    kind: str = "exact"
    tolerance: float | None = None  # numeric: absolute
    relative_tolerance: float | None = None  # numeric: share of the target
    model: str | None = None  # model_graded: the judge
    rubric: str | None = None  # model_graded: text of the rubric; None: the one built in
    rubric_file: str | None = None  # where it was read, for messages
    timeout_s: float = 30.0  # per verdict; a scorer that takes longer has failed
    # keyword arguments of a person's own scorer; text_overlap: measure = "f1" or "rouge_l"
    options: Mapping[str, Any] = field(default_factory=dict)
