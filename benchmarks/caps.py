"""Is a cap on calls or tokens ever exceeded?

256 episodes in flight against caps, latencies and fault rates drawn by seed, over real HTTP, judged
by the provider's ledger. Run: `python -m benchmarks.caps`; writes `results/caps.md`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.test_interrupts import Kept, keep_caps

RESULTS = Path(__file__).parent / "results" / "caps.md"
SEEDS = 200


async def measure(folder: Path) -> list[Kept]:
    """Run every seed; an exceeded cap raises."""
    os.environ.setdefault("OPENAI_API_KEY", "sk-loopback")
    found = []
    for seed in range(SEEDS):
        place = folder / str(seed)
        await asyncio.to_thread(place.mkdir)
        found.append(await keep_caps(place, seed))
    return found


def tell(found: Sequence[Kept], took_s: float) -> str:
    """Return the result as a page."""
    statuses = Counter(kept.status for kept in found)
    by_calls = sum(kept.calls_share == 1 for kept in found)
    paused_by_tokens = [k.tokens_share for k in found if k.status == "paused" and k.calls_share < 1]
    lines = [
        "# Caps",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}. `python -m benchmarks.caps`",
        "",
        "256 episodes in flight, caps of 1 to 500 calls and 5,000 to 150,000 tokens, none to 30 % "
        "of the calls failing.",
        "",
        "| | |",
        "| --- | --- |",
        f"| seeds | {len(found)} |",
        f"| paused | {statuses['paused']} |",
        f"| done within the caps | {statuses['done']} |",
        f"| stopped at the very last call of the cap | {by_calls} |",
        f"| failed calls, counted too | {sum(kept.faults for kept in found):,} |",
        f"| most of a cap on calls | {max(kept.calls_share for kept in found):.1%} |",
        f"| most of a cap on tokens | {max(kept.tokens_share for kept in found):.1%} |",
        f"| tokens used where these paused the run, on average "
        f"| {sum(paused_by_tokens) / max(1, len(paused_by_tokens)):.1%} |",
        "| **caps exceeded** | **0** |",
        f"| seconds | {took_s:,.0f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measure(Path(name)))
    page = tell(found, time.monotonic() - began_s)
    RESULTS.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
