"""Do whole trainings run on what real models wrote?

For each type of problem a training as in the papers (20 tasks to learn from, 80 sealed, paper
acceptance) through real HTTP, store and sandbox: the provider answers with the recorded messages
of gpt-4o-mini and proposes its recorded actions, an epoch to a step.
Run: `python -m benchmarks.recorded_training [TYPE...]`; writes `results/recorded_training.md`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.command import funcforge, settings
from tests.loopback.provider import LoopbackProvider
from tests.loopback.transcripts import (
    Transcripts,
    read_proposals,
    read_transcripts,
    write_tasks,
)

RESULTS = Path(__file__).parent / "results" / "recorded_training.md"
TYPES = ("algebra", "counting_and_probability", "number_theory", "prealgebra", "precalculus")
MODEL = "openai/gpt-4o-mini"
CONFIG = """
[agent]
model = "openai/gpt-4o-mini"

[tasks]
train = "rest"
test = "rest"

[scorer]
kind = "math"

[training]
acceptance = "paper"
epochs = 10
patience = 10
steps = 9
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One training."""

    kind: str
    told: dict[str, Any]  # of `show --json`
    requests: int  # by the provider's ledger
    unknown: int  # questions that no transcript is about
    report_bytes: int


async def play(kind: str) -> Played:
    """Train on one type of problems."""
    dialogues = read_transcripts(kind)
    brain = Transcripts(dialogues, read_proposals(f"train/{kind}_0"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, test = write_tasks(folder, dialogues)
        config = folder / f"{kind}.toml"
        config.write_text(CONFIG, encoding="utf-8")
        async with LoopbackProvider(brain=brain, latency_s=0.02) as provider:
            options = settings(
                tasks__train__path=str(train),
                tasks__test__path=str(test),
                **{f'models__"{MODEL}"__base_url': provider.openai_base_url},
            )
            ended = await funcforge("train", config, "--json", "--quiet", *options, cwd=folder)
            requests = len(provider.ledger)
        if ended.code != 0:
            raise SystemExit(f"{kind}: exit code {ended.code}\n{ended.err}")
        report = folder / "report.html"
        shown = await funcforge("show", "latest", "--json", "--html", report, cwd=folder)
        return Played(
            kind=kind,
            told=shown.told,
            requests=requests,
            unknown=len(brain.unknown),
            report_bytes=report.stat().st_size,
        )


def tell(played: list[Played]) -> str:
    """Return the results as a page."""
    lines = [
        "# Trainings over recorded dialogues",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}. `python -m benchmarks.recorded_training`",
        "",
        "20 tasks to learn from, 80 sealed, paper acceptance. The provider says what gpt-4o-mini "
        "said, whatever our sandbox returned to it: the scores tell that everything is taken and "
        "judged, not that a function helps. The optimizer proposes what gpt-4o-mini proposed, an "
        "epoch to a step, one action to a reply.",
        "",
        "| type | stopped by | test before → after | train before → after | accepted of steps | "
        "versions of functions in the ledger, in the result | calls of learned functions | errors "
        "| model calls = provider's ledger | failed episodes | s |",
        "|" + " --- |" * 11,
    ]
    lines += [_row(one) for one in played]
    lines += ["", "## Decisions and functions", ""]
    for one in played:
        lines += [f"### {one.kind}", ""]
        for made in one.told["decisions"]:
            score = "" if made["score"] is None else f", {made['score']:.1%}"
            lines.append(f"- step {made['step']}: {made['outcome']}{score}: {made['reason']}")
        lines += [
            "",
            "| function | standing | calls | solved | failed | complexity |",
            "|" + " --- |" * 6,
        ]
        lines += [
            f"| {e['name']} | {e['standing']} | {e['calls']} | {e['tasks_solved']} "
            f"| {e['tasks_failed']} | {e['complexity']} |"
            for e in one.told["ledger"]
        ]
        lines.append("")
    return "\n".join(lines)


def _row(one: Played) -> str:
    told = one.told
    steps = [made["outcome"] for made in told["decisions"]]
    calls = sum(entry["calls"] for entry in told["ledger"])
    errors = calls - sum(entry["outcomes"].get("value", 0) for entry in told["ledger"])
    failed = sum(
        scored["failed"]
        for side in ("before", "after")
        for scored in told[side].values()
        if scored is not None
    )
    agree = "=" if told["usage"]["calls"] == one.requests else "≠"
    return (
        f"| {one.kind} | {told['stopped_by']} | {_change(told, 'test')} | {_change(told, 'train')} "
        f"| {steps.count('accepted')} of {len(steps)} | {len(told['ledger'])}, "
        f"{len(told['functions'])} | {calls} | {errors} | {told['usage']['calls']:,} {agree} "
        f"{one.requests:,} | {failed} | {told['seconds']:.0f} |"
    )


def _change(told: dict[str, Any], split: str) -> str:
    before, after = told["before"][split], told["after"][split]
    return f"{before['score']:.1%} → {after['score']:.1%}"


async def main(kinds: list[str]) -> None:
    """Train on each type and write the results."""
    played = []
    for kind in kinds:
        played.append(await play(kind))
        sys.stderr.write(_row(played[-1]) + "\n")
        assert played[-1].unknown == 0, played[-1].unknown
    RESULTS.write_text(tell(played), encoding="utf-8")
    sys.stderr.write(f"wrote {RESULTS}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or list(TYPES)))
