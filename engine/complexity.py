"""Cyclomatic complexity of a function that a model wrote."""

from __future__ import annotations

from functools import lru_cache

_KEPT = 4_096  # answers; the same functions are asked about in every step


@lru_cache(maxsize=_KEPT)
def cyclomatic_complexity(code: str) -> int | None:
    """Return the decisions in all of the code's functions plus one; None where none is found.

    Helpers count into the function that they help: for code without any this is McCabe's number
    of the one `def`. Read by tokens: the code is neither compiled nor run.

    Source: McCabe, "A Complexity Measure", 1976; lizard, as in the AgentOptimizer paper.
    """
    import lizard  # type: ignore[import-untyped]  # 0.05 s: only where somebody asks

    try:
        found = lizard.analyze_file.analyze_source_code("function.py", code).function_list
    except Exception:  # untrusted text in a tokenizer that promises nothing about it
        return None
    if not found:
        return None
    return 1 + sum(int(one.cyclomatic_complexity) - 1 for one in found)
