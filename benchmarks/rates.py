"""How much of a provider's allowed rate is used, and how often is it asked too much?

A provider on loopback in this process that allows 600 requests a minute and 30 at once, judged by
its ledger; told to us in the config, and not told. Run: `python -m benchmarks.rates`; writes
`results/rates.md`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from funcforge import Opening, open_evaluation

from tests.end_to_end.lessons import load_lesson, write_lesson
from tests.faults.killing import signing
from tests.loopback.faults import RateLimiter
from tests.loopback.provider import LoopbackProvider

RESULTS = Path(__file__).parent / "results" / "rates.md"
PER_MINUTE, CONCURRENT = 600, 30
TASKS = 1_000
WARM_UP_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One evaluation, as the ledger tells it."""

    told: bool  # whether the config says what the provider allows
    latency_s: float
    used_share: float  # of the allowed rate, after the warm-up
    limited_share: float  # of the requests after the warm-up
    seconds: float


async def measure(folder: Path, *, told: bool, latency_s: float) -> Measured:
    """Run one evaluation."""
    write_lesson(folder, train=1, test=TASKS)
    limiter = RateLimiter(requests_per_minute=PER_MINUTE, concurrent=CONCURRENT)
    async with LoopbackProvider(brain=signing(), limiter=limiter, latency_s=latency_s) as provider:
        known = {"limits__requests_per_minute": PER_MINUTE} if told else {}
        config = load_lesson(
            folder / "lesson.toml",
            provider.openai_base_url,
            limits__in_flight=200,
            store__path=str(folder / "runs.db"),
            **known,
        )
        async with open_evaluation(config, None, Opening(run_id="run")) as run:
            outcome = await run.wait()
        entries = provider.ledger.entries
    if outcome.status != "done":
        raise RuntimeError(outcome.message)
    began_s, ended_s = entries[0].at_unix_s + WARM_UP_S, entries[-1].at_unix_s - 0.5
    warm = [entry for entry in entries if began_s <= entry.at_unix_s <= ended_s]
    used = sum(entry.outcome == "answered" for entry in warm)
    return Measured(
        told=told,
        latency_s=latency_s,
        used_share=used / ((ended_s - began_s) * PER_MINUTE / 60),
        limited_share=sum(entry.outcome == "limited" for entry in warm) / len(warm),
        seconds=entries[-1].at_unix_s - entries[0].at_unix_s,
    )


async def measure_all(folder: Path) -> list[Measured]:
    """Run every arm; they wait most of the time, so all at once."""
    os.environ.setdefault("OPENAI_API_KEY", "sk-loopback")
    arms = [(told, latency_s) for told in (True, False) for latency_s in (0.3, 2.0)]
    works = []
    for number, (told, latency_s) in enumerate(arms):
        place = folder / str(number)
        await asyncio.to_thread(place.mkdir)
        works.append(measure(place, told=told, latency_s=latency_s))
    return list(await asyncio.gather(*works))


def tell(found: list[Measured]) -> str:
    """Return the result as a page."""
    lines = [
        "# Rates",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}. `python -m benchmarks.rates`",
        "",
        f"{TASKS:,} calls to a provider that allows {PER_MINUTE} requests a minute and "
        f"{CONCURRENT} at once; the first {WARM_UP_S:g} s do not count.",
        "",
        "| config says so | answer after, s | of the allowed rate | refused with 429 | seconds |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {'yes' if m.told else 'no'} | {m.latency_s:g} | {m.used_share:.1%} "
            f"| {m.limited_share:.2%} | {m.seconds:.0f} |"
            for m in found
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    with tempfile.TemporaryDirectory() as name:
        page = tell(asyncio.run(measure_all(Path(name))))
    RESULTS.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
