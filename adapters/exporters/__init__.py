"""The learned functions in forms that other programs take. One file per form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...engine.parameters import Parameters
from .json import export_json
from .openai import export_openai
from .python import export_python


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where parameters come from; told in the head of an export."""

    run_id: str
    score: float | None = None  # on the test set, or on what the run decided by
    scored_on: str = ""  # test, validation, train


Exporter = Callable[[Parameters, Origin], str]

EXPORTERS: Mapping[str, Exporter] = {
    "python": lambda parameters, origin: export_python(parameters, _title(parameters, origin)),
    "openai": lambda parameters, origin: export_openai(parameters),
    "json": lambda parameters, origin: export_json(parameters),
}


def _title(parameters: Parameters, origin: Origin) -> str:
    score = "" if origin.score is None else f", {origin.score:.1%} on {origin.scored_on}"
    return f"run {origin.run_id}, version {parameters.version}{score}"
