"""A whole training at 0.2 s latency: ours beside AG2 0.9.9's AgentOptimizer, on the same server.

    python -m benchmarks.throughput.training --cache FOLDER

Both train on the same questions for the same number of rounds and actions and score the last
proposal too. The provider's own ledger counts calls. AG2 runs one call after the other; where its
whole training would take too long, one round is measured and the rest counted. Tokens are counted
in trainings of their own, at no latency, over the whole body of each request: messages, and what
is offered beside them, as `tools` or, by AG2, as `functions`.
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
from .timeline import Call, idle_s, timeline
from .training_brain import question

ROOT = Path(__file__).resolve().parents[2]
ARMS = Path(__file__).parent / "peer_arms"
RESULTS = ROOT / "benchmarks" / "results" / "training_speed.md"
ROUNDS, ACTIONS = 10, 3
BRAINS = "benchmarks.throughput.training_brain"


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


def _on_path(name: str) -> bool:
    """Whether a phase must wait for the one before it; other splits are scored beside these."""
    return name.startswith(("step/", "train/"))


def _critical_s(phases: list[list[Any]]) -> float:
    """Return the latencies that must follow one another, as they were measured.

    The first evaluation, then for each step its calls and the candidate's slowest episode.
    """
    return sum(chain for name, _, _, chain, _ in phases if _on_path(name))


def _chained_calls(phases: list[list[Any]]) -> int:
    """Return how many calls must follow one another; an episode makes one here."""
    return sum(calls if name.startswith("step/") else 1
               for name, _, _, _, calls in phases if _on_path(name))  # fmt: skip


async def _compare(
    provider: RemoteProvider, ag2: str, tasks: int, repeats: int, latency_s: float, *, whole: bool
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
    their_s, note = theirs.told["wall_s"], ""
    if not whole:
        [evaluation_s], [step_s] = theirs.told["round_s"], theirs.told["step_s"]
        their_s = (ROUNDS + 1) * evaluation_s + ROUNDS * step_s
        note = f" (from {theirs.calls:,} calls in {theirs.told['wall_s']:.1f} s)"
    print(f"AG2, {tasks} tasks: {their_s:.1f} s{note}", flush=True)
    walls = sorted(one.told["wall_s"] for one in ours)
    phases, our_s, cpu_s = best.told["phases"], best.told["wall_s"], best.told["cpu_s"]
    critical_s, chained = _critical_s(phases), _chained_calls(phases)
    least_s = chained * latency_s
    return [
        f"## {tasks} tasks, {ROUNDS} rounds, {ACTIONS} actions a round",
        "",
        "| | |",
        "| - | -: |",
        f"| ours | {our_s:.1f} s ({walls[0]:.1f}-{walls[-1]:.1f}), {best.calls:,} calls |",
        f"| AG2 0.9.9 | {their_s:.1f} s{note} |",
        f"| ours is faster | {their_s / our_s:.1f} x |",
        f"| calls that must follow one another | {chained} |",
        f"| their latencies as measured: the critical path | {critical_s:.1f} s |",
        f"| ours over it | {our_s / critical_s:.2f} |",
        f"| ours over {chained} x {latency_s:g} s, as if nothing took any CPU | "
        f"{our_s / least_s:.2f} |",
        f"| nothing in flight | {idle_s(_calls(best)):.1f} s |",
        f"| CPU of our process | {cpu_s:.1f} s, {cpu_s / best.calls * 1000:.2f} ms a call |",
        f"| our steps | {best.told['steps']}, stopped by {best.told['stopped_by']} |",
        "",
        *_drawn(best),
        "",
    ]


def _calls(measured: Measured) -> list[Call]:
    return [Call(*call) for call in measured.told["calls"]]


def _drawn(measured: Measured) -> list[str]:
    return ["```", *timeline(_calls(measured)), "```"]


async def _overlap(provider: RemoteProvider) -> list[str]:
    found = await _train(provider, sys.executable, "our_training", 40, 3, ACTIONS, 40)
    lines = [
        "## What overlaps: 40 training and 40 test tasks",
        "",
        "Functions help here: the first step is accepted; the others are not better and rolled "
        "back. Step 4 ends the training unless it is accepted, so the sealed test of the accepted "
        "version runs beside it (`training.test_beside`).",
        "",
        *_drawn(found),
        "",
        "| phase | begins s | ends s | longest chain of calls s | calls |",
        "| - | -: | -: | -: | -: |",
    ]
    for name, begin, end, chain, count in found.told["phases"]:
        lines.append(f"| {name} | {begin:.2f} | {end:.2f} | {chain:.2f} | {count} |")
    return [*lines, ""]


async def _count(ag2: str) -> list[str]:
    lines = [
        "## Tokens",
        "",
        "One tokenizer (cl100k_base) over the whole body of every request, and over the replies.",
        "",
        "| tasks | rounds | arm | calls | prompt tokens | completion tokens | of AG2's |",
        "| -: | -: | - | -: | -: | -: | -: |",
    ]
    async with provider_process(brain=f"{BRAINS}:counting_brain") as provider:
        for tasks in (40, 400):
            arms = {"ours": (sys.executable, "our_training", 0), "AG2": (ag2, "ag2_training", 1)}
            found = {
                name: await _train(provider, python, arm, tasks, ROUNDS, ACTIONS, last)
                for name, (python, arm, last) in arms.items()
            }
            for name, one in found.items():
                lines.append(
                    f"| {tasks} | {ROUNDS} | {name} | {one.calls:,} | {one.prompt_tokens:,} | "
                    f"{one.completion_tokens:,} | {one.tokens / found['AG2'].tokens:.2f} |"
                )
            print("\n".join(lines[-2:]), flush=True)
    return [*lines, ""]


async def _run(options: argparse.Namespace) -> list[str]:
    ag2 = str(python_of("ag2", options.cache))
    latency_s, repeats = options.latency, options.repeats
    latency = ("--latency", str(latency_s))
    async with provider_process(*latency, brain=f"{BRAINS}:brain") as provider:
        lines = await _compare(provider, ag2, 40, repeats, latency_s, whole=True)
        few = max(2, repeats - 1)
        lines += await _compare(provider, ag2, 400, few, latency_s, whole=False)
    async with provider_process(*latency, brain=f"{BRAINS}:helped_brain") as provider:
        lines += await _overlap(provider)
    return lines + await _count(ag2)


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
        "cores. Ours: median; SQLite, real sandbox, policy of the paper. No set of functions is "
        "better than another, so every round evaluates all tasks. A column of a timeline is as "
        "high as the calls in flight then, of the most that its line had.",
        "",
        *asyncio.run(_run(options)),
    ]
    RESULTS.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
