"""A whole training at 0.2 s latency: ours beside AG2 0.9.9's AgentOptimizer, on the same server.

    python -m benchmarks.throughput.training --cache FOLDER

Both train on the same questions for the same number of rounds and actions and score the last
proposal too. The provider's own ledger counts calls and tokens. AG2 runs one call after the
other; where its whole training would take too long, one round is measured and the rest counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.loopback.process import RemoteProvider, provider_process

from .peer_environments import python_of
from .training_brain import question

ROOT = Path(__file__).resolve().parents[2]
ARMS = Path(__file__).parent / "peer_arms"
RESULTS = ROOT / "benchmarks" / "results" / "training_speed.md"
ROUNDS, ACTIONS = 10, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One training."""

    told: dict[str, Any]  # what the arm says of itself
    calls: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.prompt_tokens + self.completion_tokens


async def _ledger(provider: RemoteProvider) -> dict[str, Any]:
    url = provider.anthropic_base_url + "/ledger"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        found: dict[str, Any] = await response.json()
        return found


async def _train(provider: RemoteProvider, python: str, arm: str, *numbers: int) -> Measured:
    before = await _ledger(provider)
    environment = os.environ | {"OPENAI_API_KEY": "key-of-the-benchmark"}
    environment.pop("PYTHONPATH", None)
    if python == sys.executable:
        environment["PYTHONPATH"] = str(ROOT)
    process = await asyncio.create_subprocess_exec(
        python, str(ARMS / f"{arm}.py"), provider.openai_base_url, *map(str, numbers),
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        limit=2**24,
    )  # fmt: skip
    questions = json.dumps([question(number) for number in range(2_000)]).encode()
    out, err = await process.communicate(questions)
    if process.returncode:
        raise SystemExit(f"{arm} failed:\n{err.decode()[-2000:]}")
    after = await _ledger(provider)
    line = [line for line in out.decode().splitlines() if line.startswith('{"wall_s"')][-1]
    return Measured(
        told=json.loads(line),
        calls=after["calls"] - before["calls"],
        prompt_tokens=after["prompt_tokens"] - before["prompt_tokens"],
        completion_tokens=after["completion_tokens"] - before["completion_tokens"],
    )


def _critical_s(phases: list[list[Any]]) -> float:
    """Return the latencies that must follow one another.

    The first evaluation, then for each step its calls and the candidate's slowest episode.
    Evaluations on other splits run beside these.
    """
    chains = {phase[0]: phase[3] for phase in phases}
    return sum(chain for name, chain in chains.items() if name.startswith(("step/", "train/")))


def _row(name: str, wall_s: float, measured: Measured | None, note: str = "") -> str:
    if measured is None:
        return f"| {name} | {wall_s:.1f} | | | | {note} |"
    return (
        f"| {name} | {wall_s:.1f} | {measured.calls:,} | {measured.prompt_tokens:,} | "
        f"{measured.completion_tokens:,} | {note} |"
    )


async def _compare(
    provider: RemoteProvider, ag2: str, tasks: int, repeats: int, *, whole: bool
) -> list[str]:
    ours = []
    for _ in range(repeats):
        ours.append(
            await _train(provider, sys.executable, "our_training", tasks, ROUNDS, ACTIONS, 0)
        )
        print(f"ours, {tasks} tasks: {ours[-1].told['wall_s']:.2f} s", flush=True)
    best = sorted(ours, key=lambda one: one.told["wall_s"])[len(ours) // 2]
    rounds = ROUNDS if whole else 1
    theirs = await _train(provider, ag2, "ag2_training", tasks, rounds, ACTIONS, int(whole))
    their_s, note, their_tokens = theirs.told["wall_s"], "", float(theirs.tokens)
    if not whole:
        [evaluation_s], [step_s] = theirs.told["round_s"], theirs.told["step_s"]
        their_s = (ROUNDS + 1) * evaluation_s + ROUNDS * step_s
        note = f"from {theirs.calls:,} calls in {theirs.told['wall_s']:.1f} s"
    print(f"AG2, {tasks} tasks: {their_s:.1f} s {note}", flush=True)
    walls = sorted(one.told["wall_s"] for one in ours)
    critical_s = _critical_s(best.told["phases"])
    our_s = best.told["wall_s"]
    lines = [
        f"## {tasks} tasks, {ROUNDS} rounds, {ACTIONS} actions a round",
        "",
        "| arm | s | calls | prompt tokens | completion tokens | |",
        "| - | -: | -: | -: | -: | - |",
        _row("ours", our_s, best, f"{walls[0]:.1f}-{walls[-1]:.1f} s"),
        _row("AG2 0.9.9", their_s, theirs if whole else None, note),
        "",
        f"{their_s / our_s:.1f} x as fast. CPU of our process {best.told['cpu_s']:.1f} s. Critical "
        f"path {critical_s:.2f} s: ours takes {our_s / critical_s:.2f} of it "
        f"({best.told['steps']} steps, stopped by {best.told['stopped_by']}).",
    ]
    if whole:
        lines += ["", f"Tokens: {best.tokens / their_tokens:.2f} of AG2's."]
    return [*lines, ""]


async def _overlap(provider: RemoteProvider) -> list[str]:
    found = await _train(provider, sys.executable, "our_training", 40, 3, ACTIONS, 40)
    lines = [
        "## What overlaps: 40 training and 40 test tasks, 3 rounds",
        "",
        "| phase | begins s | ends s | longest chain of calls s | calls |",
        "| - | -: | -: | -: | -: |",
    ]
    for name, begin, end, chain, count in found.told["phases"]:
        lines.append(f"| {name} | {begin:.2f} | {end:.2f} | {chain:.2f} | {count} |")
    return [*lines, ""]


async def _run(options: argparse.Namespace) -> list[str]:
    ag2 = str(python_of("ag2", options.cache))
    brain = "benchmarks.throughput.training_brain:brain"
    async with provider_process("--latency", str(options.latency), brain=brain) as provider:
        lines = await _compare(provider, ag2, 40, options.repeats, whole=True)
        lines += await _compare(provider, ag2, 400, max(2, options.repeats - 1), whole=False)
        return lines + await _overlap(provider)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the environments")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    lines = [
        "# A whole training beside AG2's AgentOptimizer",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, load average {load:.1f} at the start. "
        f"`python -m benchmarks.throughput.training --cache FOLDER`; every call takes "
        f"{options.latency:g} s at a loopback provider in a process of its own, which shares the "
        f"cores. Ours: median of {options.repeats}; SQLite, real sandbox, policy of the paper. "
        "No set of functions is better than another, so every round evaluates all tasks.",
        "",
        *asyncio.run(_run(options)),
    ]
    RESULTS.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
