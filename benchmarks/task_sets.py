"""How much memory and time does a large task set take? Run: `python -m benchmarks.task_sets`.

Writes 1,000,000 rows of 220 bytes, draws splits from them in a fresh process, reads 100,000 tasks
in the order of the split. Writes `benchmarks/results/task_sets.md`.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "task_sets.md"
ROWS = 1_000_000
READ = 100_000


def measure(path: str, stratify: bool) -> dict[str, float]:
    """Return seconds and megabytes of this process, which did nothing else."""
    import resource
    from itertools import islice

    from funcforge.adapters.datasets.load import load_splits
    from funcforge.adapters.datasets.settings import SplitSettings, TaskSettings

    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    settings = TaskSettings(
        path=path,
        category="kind",
        stratify=stratify,
        needs_target=True,
        splits={"train": SplitSettings(count="rest"), "test": SplitSettings(count=80)},
    )
    started_s = time.process_time()
    train = load_splits(settings, seed=0).train
    assert train is not None
    loaded_s = time.process_time()
    read = sum(1 for _ in islice(train, READ))
    assert read == READ
    return {
        "load_cpu_s": loaded_s - started_s,
        "read_cpu_us": (time.process_time() - loaded_s) / READ * 1e6,
        "before_mb": before_mb,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def write_rows(path: Path) -> None:
    """Write the file that is measured."""
    with path.open("w", encoding="utf-8") as file:
        for n in range(ROWS):
            prompt = f"Question number {n}: " + "x" * 130
            row = {"id": f"task-{n}", "prompt": prompt, "target": str(n), "kind": "abc"[n % 3]}
            file.write(json.dumps(row) + "\n")


def main() -> None:
    """Measure both ways of drawing and write the results."""
    lines = [
        "# Large task sets",
        "",
        f"{datetime.date.today()}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores. Made by `python -m benchmarks.task_sets`: "
        f"{ROWS:,} rows of JSON, splits drawn by seed, {READ:,} tasks read in the split's order.",
        "",
        "| splits | index, CPU s | a task read, CPU µs | peak MB | of that before MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path)
        for stratify in (False, True):
            code = (
                "import json; from benchmarks.task_sets import measure; "
                f"print(json.dumps(measure({str(path)!r}, {stratify})))"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True
            )
            found = json.loads(done.stdout)
            lines.append(
                f"| {'stratified' if stratify else 'plain'} | {found['load_cpu_s']:.1f} | "
                f"{found['read_cpu_us']:.0f} | {found['peak_mb']:.0f} | {found['before_mb']:.0f} |"
            )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stderr.write(f"wrote {RESULTS}\n")


if __name__ == "__main__":
    main()
