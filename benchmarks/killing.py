"""What does a training lose to 100 kill -9 at random moments?

One training of the command line over a provider in another process that fails a tenth of the
calls, 64 episodes in flight; it is killed, resumed, killed again, and judged by the provider's
ledger.
Run: `python -m benchmarks.killing`; writes `results/killing.md`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
import time
from pathlib import Path

from tests.faults.killing import Report, World, kill_loop, undisturbed

RESULTS = Path(__file__).parent / "results" / "killing.md"
SCRATCH = Path(".funcforge").resolve()  # a real disk; /tmp may be memory
WORLD = World(train=120, test=1_500, kills=100, seed=1, latency_s=0.4, longest_life_s=1.5)


async def measure() -> tuple[Report, Report]:
    """Run the training in peace and under kills."""
    os.environ.setdefault("OPENAI_API_KEY", "sk-loopback")
    with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
        folder = Path(name)
        (folder / "peace").mkdir()
        peace = await undisturbed(folder / "peace", WORLD)
        return peace, await kill_loop(folder, WORLD)


def tell(peace: Report, found: Report) -> str:
    """Return the result as a page."""
    same = found.rows == peace.rows
    usage = found.end.told["usage"] if found.end else {}
    lines = [
        "# Kills",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}. `python -m benchmarks.killing`",
        "",
        f"One training, {WORLD.in_flight} episodes in flight, {WORLD.fault_rate:.0%} of the calls "
        f"fail; kill -9 up to {WORLD.longest_life_s:g} s after the first call of each life.",
        "",
        "| | |",
        "| --- | --- |",
        f"| kills | {found.kills} |",
        f"| of these before the first call of a life | {found.kills_without_a_call} |",
        f"| requests that the provider saw | {found.asked:,} |",
        f"| of these faults | {found.faults:,} |",
        f"| calls committed | {found.committed:,} |",
        f"| calls of the undisturbed run | {peace.asked:,} |",
        f"| **committed calls that were asked again** | **{found.committed_asked_again}** |",
        f"| calls in flight at the kills, in all | {found.in_flight_at_kills:,} |",
        f"| calls in flight at a kill, at most | {found.most_in_flight_at_a_kill} |",
        f"| replies made more than once | {found.billed_again:,} |",
        f"| calls that the summary tells | {usage.get('calls', 0):,} |",
        f"| all stored rows equal the undisturbed run's | {'yes' if same else '**no**'} |",
        f"| processes that outlived a kill | {found.orphans} |",
        f"| exit code | {found.end.code if found.end else '-'} |",
        f"| seconds | {found.seconds:,.0f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    SCRATCH.mkdir(exist_ok=True)
    page = tell(*asyncio.run(measure()))
    RESULTS.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
