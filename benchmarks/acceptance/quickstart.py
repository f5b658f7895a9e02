"""The quickstart under each policy: the embedded model, real episodes, several seeds.

Episodes are counted from the run's database: what decisions took, and all of them.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.acceptance.rules import STEP_BY_STEP

CONFIG = Path(__file__).parents[2] / "examples" / "quickstart.toml"
POLICIES = {
    "paper": ("acceptance=paper",),
    "sequential": ("acceptance=sequential",),
    STEP_BY_STEP: ("acceptance=sequential", "acceptance_options.climb=false"),
}


def train(policy: str, seed: int) -> dict[str, Any]:
    """Train once; return what `train --json` prints, with the number of scored episodes."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs.db"
        training = (f"training.{setting}" for setting in POLICIES[policy])
        settings = [f"seed={seed}", f"store.path={store}", *training]
        command = [sys.executable, "-m", "funcforge", "train", str(CONFIG), "--json"]
        for setting in settings:
            command += ["--set", setting]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
        with sqlite3.connect(store) as database:
            (episodes,) = database.execute(
                "SELECT count(*) FROM episodes WHERE evaluation NOT LIKE 'test/%'"
            ).fetchone()
    return {**json.loads(done.stdout), "episodes": episodes}


def rows(seeds: int) -> Iterator[str]:
    """Train under every policy and seed."""
    for seed in range(7, 7 + seeds):
        for policy in POLICIES:
            run = train(policy, seed)
            test = run["after"]["test"]
            decisions = run["decisions"]
            cells = (
                seed,
                policy,
                f"{100 * test['score']:.1f} % [{100 * test['low']:.1f}, {100 * test['high']:.1f}]",
                sum(one["outcome"] == "accepted" for one in decisions),
                len(decisions),
                sum(one["episodes"] for one in decisions),
                run["episodes"],
                run["usage"]["calls"],
                f"{run['usage']['cost_usd']:.2f}",
                f"{run['seconds']:.0f}",
            )
            yield " | ".join(str(cell) for cell in cells)


if __name__ == "__main__":
    for line in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 4):
        print(line, flush=True)
