"""Do real functions behave in the sandbox as they did when they were recorded?

Loads the recorded functions and repeats the recorded calls; prints what differs, one by one.

    python -m benchmarks.recorded_calls [--data FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funcforge.adapters.sandboxes import Pool, SandboxSettings, open_sandbox
from funcforge.engine.functions import Function
from funcforge.engine.ports import CallResult

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "recorded_math"
RESULTS = Path(__file__).parent / "results" / "recorded_calls.md"
AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A call that ended otherwise than it was recorded."""

    where: str
    name: str
    arguments: str
    recorded: str
    here: str
    detail: str


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a packed JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def as_function(row: dict[str, Any]) -> Function:
    """Return a recorded function in our form. Recorded packages are a text with commas."""
    packages = tuple(sorted(p.strip() for p in row["packages"].split(",") if p.strip()))
    # a schema that was cut off was recorded as text
    properties = row["arguments"] if isinstance(row["arguments"], dict) else {}
    if properties.get("type") == "object" and isinstance(properties.get("properties"), dict):
        properties = properties["properties"]
    return Function(
        name=row["name"],
        description=row["description"],
        arguments={"type": "object", "properties": properties},
        code=row["code"],
        packages=packages,
    )


async def load_all(pool: Pool, functions: list[dict[str, Any]]) -> list[tuple[str, CallResult]]:
    """Check every function."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def load(row: dict[str, Any]) -> tuple[str, CallResult]:
        async with gate:
            return row["name"], await pool.check(as_function(row))

    return list(await asyncio.gather(*(load(row) for row in functions)))


async def replay(
    pool: Pool, functions: list[dict[str, Any]], calls: list[dict[str, Any]]
) -> tuple[int, list[Difference]]:
    """Repeat the executed calls. Returns how many agreed, and those that did not."""
    by_code = {(row["code_sha256"], row["name"]): row for row in functions}
    gate = asyncio.Semaphore(AT_ONCE)

    async def repeat(call: dict[str, Any]) -> Difference | None:
        async with gate:
            row = by_code[call["code_sha256"], call["name"]]
            result = await pool.call(as_function(row), json.loads(call["arguments_raw"]))
        recorded = {"ok": "value", "signature_error": "signature"}.get(
            call["outcome"], call["outcome"]
        )
        here = classify(result, call["name"])
        if here == recorded:
            return None
        return Difference(
            where=f"{call['run']} {call['phase']} {call['epoch']}/{call['index']}/{call['call']}",
            name=call["name"],
            arguments=call["arguments_raw"][:120],
            recorded=f"{recorded} {call['exception'] or ''}".strip(),
            here=here,
            detail=(result.error or json.dumps(result.value))[:200],
        )

    found = await asyncio.gather(*(repeat(call) for call in calls))
    differences = [difference for difference in found if difference is not None]
    return len(calls) - len(differences), differences


def classify(result: CallResult, name: str) -> str:
    """Return the recorded word for how a call ended."""
    if result.outcome != "exception":
        return result.outcome
    first = result.error.splitlines()[0]
    signature = ("missing", "unexpected keyword", "positional")
    own = first.startswith(f"TypeError: {name}()")
    return "signature" if own and any(word in first for word in signature) else "exception"


async def main(data: Path, out: Path) -> int:
    """Load and replay, and write the report. Returns the exit code."""
    functions = list(rows(data / "functions.jsonl.gz"))
    calls = [row for row in rows(data / "calls.jsonl.gz") if row["executed"]]
    async with open_sandbox(SandboxSettings(wall_s=20.0)) as pool:  # 20 s as upstream
        loaded = await load_all(pool, functions)
        agreed, differences = await replay(pool, functions, calls)
        text = report(pool.backend, loaded, agreed, len(calls), differences)
    await asyncio.to_thread(out.write_text, text)
    return 0 if agreed >= 0.97 * len(calls) else 1


def report(
    backend: str,
    loaded: list[tuple[str, CallResult]],
    agreed: int,
    total: int,
    differences: list[Difference],
) -> str:
    """Return the results as Markdown."""
    outcomes = Counter(result.outcome for _, result in loaded)
    reasons = Counter(
        (result.error.splitlines() or [""])[0][:110]
        for _, result in loaded
        if result.outcome != "value"
    )
    lines = [
        "# Recorded functions and calls in the sandbox",
        "",
        f"Backend {backend}. Functions that load: {outcomes['value']} of {len(loaded)}.",
        "",
        "| not loaded because | functions |",
        "| --- | --- |",
        *(f"| {reason.replace('|', '/')} | {count} |" for reason, count in reasons.most_common()),
        "",
        f"Calls that end as recorded (value, exception, signature error): {agreed} of {total} "
        f"({100 * agreed / total:.2f} %).",
        "",
        "| call | function | recorded | here | detail |",
        "| --- | --- | --- | --- | --- |",
    ]
    for d in differences:
        detail = " ".join(d.detail.split()).replace("|", "/")
        lines.append(f"| {d.where} | {d.name} | {d.recorded} | {d.here} | {detail} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    raise SystemExit(asyncio.run(main(options.data, options.out)))
