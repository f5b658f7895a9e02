"""Single-call episodes at 0.2 s latency: ours beside the peers, and beside a bare client.

    python -m benchmarks.throughput.peers --cache FOLDER

Every peer runs from its own package in an environment of its own, made in FOLDER. One cheap
server in a process of its own answers all of them; each arm is a process that warms up and then
measures itself. Arms alternate; medians are shown, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .peer_environments import litellm_version, python_of, version_of

ROOT = Path(__file__).resolve().parents[2]
ARMS = Path(__file__).parent / "peer_arms"
RESULTS = ROOT / "benchmarks" / "results" / "peers.md"


@dataclass(slots=True)
class Arm:
    """One way to run episodes."""

    name: str
    script: str
    episodes: int
    in_flight: int
    variant: str = ""
    peer: str = ""  # whose environment; empty: ours
    rates: list[float] = field(default_factory=list)  # episodes/s
    cpu_ms: list[float] = field(default_factory=list)  # per episode

    @property
    def rate(self) -> float:
        """Median episodes/s."""
        return statistics.median(self.rates)


def arms() -> list[Arm]:
    """Return all arms; so many episodes that each takes a few seconds."""
    return [
        Arm("bare aiohttp, 512", "bare", 6_000, 512),
        Arm("bare aiohttp, 2,000", "bare", 12_000, 2_000),
        Arm("ours, fast lane, 512", "ours", 8_000, 512, "fast"),
        Arm("ours, fast lane, 2,000", "ours", 12_000, 2_000, "fast"),
        Arm("ours, fall-back lane, 512", "ours", 600, 512, "fall-back"),
        Arm("plain litellm.acompletion, 512", "plain_litellm", 600, 512),
        Arm("DSPy, awaited, 512", "dspy_predict", 2_000, 512, "async", "dspy"),
        Arm("DSPy, 512 threads", "dspy_predict", 2_000, 512, "threads", "dspy"),
        Arm("Inspect AI, 512", "inspect_eval", 200, 512, "", "inspect"),
        Arm("AG2, one after the other", "ag2_chat", 15, 1, "", "ag2"),
    ]


@contextmanager
def server(latency_s: float) -> Iterator[str]:
    """Run the cheap server; yield its base URL."""
    command = [sys.executable, "-m", "benchmarks.throughput.server"]
    process = subprocess.Popen(
        [*command, "--latency", str(latency_s)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["base_url"]
    finally:
        process.terminate()
        process.wait()


def measure(arm: Arm, url: str, cache: Path) -> None:
    """Run one arm once, in a process."""
    python = str(python_of(arm.peer, cache)) if arm.peer else sys.executable
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environment.pop("PYTHONPATH", None)
    if not arm.peer:
        environment["PYTHONPATH"] = str(ROOT)
    command = [python, f"{ARMS / arm.script}.py", url, str(arm.episodes), str(arm.in_flight)]
    done = subprocess.run(
        [*command, arm.variant], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{arm.name} failed:\n{done.stderr[-2000:]}")
    told = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    arm.rates.append(told["episodes"] / told["wall_s"])
    arm.cpu_ms.append(told["cpu_s"] / told["episodes"] * 1000)


def table(found: list[Arm]) -> list[str]:
    """Return the figures as a table."""
    lines = ["| arm | episodes/s | CPU ms per episode |", "| - | -: | -: |"]
    return [
        *lines,
        *(f"| {arm.name} | {_spread(arm.rates, 0)} | {_spread(arm.cpu_ms, 2)} |" for arm in found),
    ]


def ratios(found: list[Arm]) -> list[str]:
    """Return what must be shown: each ratio with its target."""
    by_name = {arm.name: arm.rate for arm in found}
    ours, crowd = by_name["ours, fast lane, 512"], by_name["ours, fast lane, 2,000"]
    plain = by_name["plain litellm.acompletion, 512"]
    dspy = max(rate for name, rate in by_name.items() if name.startswith("DSPy"))
    rows = [
        ("DSPy (its faster way)", ours / dspy, 2.5),
        ("Inspect AI", ours / by_name["Inspect AI, 512"], 20.0),
        ("plain litellm.acompletion", ours / plain, 5.0),
        ("AG2", ours / by_name["AG2, one after the other"], None),
        ("bare aiohttp at 512 in flight", ours / by_name["bare aiohttp, 512"], 0.5),
        ("bare aiohttp at 2,000 in flight", crowd / by_name["bare aiohttp, 2,000"], 0.35),
        (
            "fall-back lane over plain litellm.acompletion",
            by_name["ours, fall-back lane, 512"] / plain,
            0.9,
        ),
    ]
    lines = ["| ours over | ratio | target | met |", "| - | -: | -: | - |"]
    for name, ratio, target in rows:
        met = "" if target is None else "yes" if ratio >= target else "no"
        lines.append(f"| {name} | {ratio:.2f} | {target or ''} | {met} |")
    return lines


def _spread(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the environments")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--only", default="", help="arms whose name holds this; writes nothing")
    options = parser.parse_args()
    found = [arm for arm in arms() if options.only in arm.name]
    load = os.getloadavg()[0]
    with server(options.latency) as url:
        for _ in range(options.repeats):
            for arm in found:
                measure(arm, url, options.cache)
                print(f"{arm.name}: {arm.rates[-1]:.0f}/s {arm.cpu_ms[-1]:.2f} ms", flush=True)
    if options.only:
        return
    versions = ", ".join(
        f"{name} {version_of(key, options.cache)}"
        for key, name in (("dspy", "DSPy"), ("inspect", "Inspect AI"), ("ag2", "AG2"))
    )
    lines = [
        "# Single-call episodes beside the peers",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, load average {load:.1f} at the start. "
        "`python -m benchmarks.throughput.peers --cache FOLDER`; "
        f"{options.repeats} alternated repeats: median (lowest-highest). Each call takes "
        f"{options.latency:g} s at a server in a process of its own, which shares the cores; 500 "
        f"characters of question. Ours records everything in SQLite. {versions}, LiteLLM "
        f"{litellm_version()}.",
        "",
        *table(found),
        "",
        *ratios(found),
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
