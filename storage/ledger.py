"""The function ledger: every version of every function of a run, with its lineage and its use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..engine.functions import Function
from ..engine.parameters import Parameters
from .records import FunctionUse, FunctionVersion

_Row = Mapping[str, Any]


def ledger(
    lineage: Iterable[_Row],
    uses: Iterable[FunctionUse],
    functions: Mapping[str, Function],
    *,
    initial: Parameters,
    final: Parameters,
) -> tuple[FunctionVersion, ...]:
    """Put the ledger together.

    Args:
        lineage: Rows of the query `function_lineage`, by step.
        uses: How each version was called.
        functions: Hash -> every function that a version of the run holds.
        initial: What the run began with.
        final: Its result.
    """
    versions = {f.hash: FunctionVersion(function=f) for f in initial.functions}
    for row in lineage:
        name = row["function_hash"]
        if name not in versions and name not in functions:
            continue  # stored under another hash: a secret in its text was blotted out
        known = versions.get(name) or FunctionVersion(
            function=functions[name], predecessor=row["predecessor"], proposed_in=row["step"]
        )
        versions[name] = _brought(known, row) if row["brought"] else _taken(known, row)
    by_hash = {use.function_hash: use for use in uses}
    kept = {function.hash for function in final.functions}
    return tuple(
        replace(version, use=by_hash.get(name), in_result=name in kept)
        for name, version in versions.items()
    )


def _brought(known: FunctionVersion, row: _Row) -> FunctionVersion:
    if row["outcome"] != "accepted" or known.accepted_in is not None:
        return known
    return replace(known, accepted_in=row["step"])


def _taken(known: FunctionVersion, row: _Row) -> FunctionVersion:
    if row["outcome"] != "accepted":
        return known
    return replace(known, ended_in=row["step"], successor=row["predecessor"])
