"""Runs the acceptance benchmarks and writes `benchmarks/results/acceptance.md` and its figures.

`python -m benchmarks.acceptance` runs all of it (about 20 minutes on one core, and the quickstart),
`--runs N` with another number of runs a row; `--report` only writes the report from the raw rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # after the backend is chosen

RESULTS = Path(__file__).parents[1] / "results"
RAW = RESULTS / "acceptance"
PARTS = {
    "error": 2000,
    "power": 600,
    "proof": 600,
    "stress": 1000,
    "training": 120,
    "quickstart": 10,
}


def run_parts(runs: int | None) -> None:
    """Run each part in a process of its own and keep its rows."""
    RAW.mkdir(parents=True, exist_ok=True)
    for part, usual in PARTS.items():
        command = [sys.executable, "-m", f"benchmarks.acceptance.{part}", str(runs or usual)]
        rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (RAW / f"{part}.txt").write_text(rows)


def rows(part: str) -> list[list[str]]:
    """Read the rows of one part."""
    lines = (RAW / f"{part}.txt").read_text().splitlines()
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def table(header: str, body: list[list[str]]) -> str:
    """Write a Markdown table."""
    names = [name.strip() for name in header.split("|")]
    lines = [names, ["---"] * len(names), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw_error() -> None:
    """Draw the share of runs that accept no change."""
    found = [row for row in rows("error") if row[:3] == ["fitted", "binary", "80"]]
    names = [f"{row[4]} {row[3] and '(' + row[3] + ')'}".strip() for row in found]
    figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    axes.barh(names, [float(row[5]) for row in found], color="#4878a8")
    axes.axvline(10, color="#b03030", linewidth=1, linestyle="--")
    axes.set_xlabel("runs of 10 steps without any true change that accept something, %")
    axes.invert_yaxis()
    figure.savefig(RAW / "error.svg", metadata={"Date": None})


def draw_power() -> None:
    """Draw the episodes that finding +10 points takes."""
    found = [
        r for r in rows("power") if r[1] == "binary" and r[3].startswith("+10") and r[4] == "4"
    ]
    names = [f"{row[0]}, {row[2]} tasks, {row[3][4:]}" for row in found]
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for column, label, mark in ((8, "fixed test, same power", "s"), (6, "sequential", "o")):
        axes.plot([float(row[column]) for row in found], names, mark, label=label)
    axes.plot([float(row[9]) for row in found], names, "|", label="bound (Wald), incumbent known")
    axes.set_xlabel("candidate episodes for +10 points")
    axes.set_xlim(0)
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(RAW / "power.svg", metadata={"Date": None})


def draw_training() -> None:
    """Draw true accuracy against episodes."""
    found = rows("training")
    mixes = list(dict.fromkeys((row[0], row[1]) for row in found))
    figure, grid = plt.subplots(2, 4, figsize=(11, 5), sharex=True, layout="constrained")
    for axes, (tasks, mix) in zip(grid.T.flat, mixes, strict=False):
        for row in found:
            if (row[0], row[1]) == (tasks, mix):
                axes.plot((250, 500, 1000, 2000, 4000), [float(x) for x in row[3:8]], label=row[2])
        axes.set_title(f"{tasks} tasks, {mix}", fontsize="small")
    grid[1, 1].set_xlabel("episodes")
    grid[0, 0].set_ylabel("true gain, points")
    grid[0, 0].legend(fontsize="xx-small")
    figure.savefig(RAW / "training.svg", metadata={"Date": None})


def write_report() -> None:
    """Write the report and its figures from the raw rows."""
    draw_error()
    draw_power()
    draw_training()
    report = (
        (Path(__file__).parent / "report.md")
        .read_text()
        .format(
            date=datetime.now(UTC).date(),
            error=table(
                "model | scores | tasks | alpha | rule | wrong % | <= % | episodes | s",
                rows("error"),
            ),
            stress=table("proposals | policy | wrong % | <= %", rows("stress")),
            quickstart=table(
                "seed | policy | sealed test, 95 % | accepted | steps"
                " | episodes of decisions | all but the sealed test | calls | USD | s",
                rows("quickstart"),
            ),
            power=table(
                "model | scores | tasks | gain | nulls before | power | candidate | incumbent"
                " | fixed, pairs | bound | saved, stored | saved, anew | whole run"
                " | run, stored | run, anew | futile",
                rows("power"),
            ),
            proof=table(
                "tasks | true gain | proven % | episodes | of the version in use"
                " | by the best test",
                rows("proof"),
            ),
            training=table(
                "tasks | mix | rule | 250 | 500 | 1,000 | 2,000 | 4,000 | area | priced | harmful",
                rows("training"),
            ),
        )
    )
    (RESULTS / "acceptance.md").write_text(report)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="runs a row, instead of each part's own number")
    parser.add_argument("--report", action="store_true", help="only write the report anew")
    options = parser.parse_args()
    if not options.report:
        run_parts(options.runs)
    write_report()
