"""What every arm of the comparison shares: its arguments, its questions and how it is timed.

Only the standard library: each peer's environment holds that peer and nothing of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable

KEY = "key-of-the-benchmark"
MODEL = "gpt-4o-mini"


def options() -> argparse.Namespace:
    """Read the arguments: URL, how many episodes, how many in flight, which variant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("episodes", type=int)
    parser.add_argument("in_flight", type=int)
    parser.add_argument("variant", nargs="?", default="")
    os.environ["OPENAI_API_KEY"] = KEY
    return parser.parse_args()


def question(number: int) -> str:
    """Return a question of about 500 characters."""
    return f"Question {number}. " + "A train leaves with 40 people and 12 get off. " * 10


def report(episodes: int, wall_s: float, cpu_s: float) -> None:
    """Print what was measured."""
    print(json.dumps({"episodes": episodes, "wall_s": wall_s, "cpu_s": cpu_s}), flush=True)


async def run_async(ask: Callable[[int], Awaitable[object]], episodes: int, in_flight: int) -> None:
    """Ask all questions, so many at once; the first few beforehand, untimed."""
    await _ask_all(ask, min(64, in_flight), in_flight)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    await _ask_all(ask, episodes, in_flight)
    report(episodes, time.perf_counter() - wall_s, time.process_time() - cpu_s)


async def _ask_all(ask: Callable[[int], Awaitable[object]], episodes: int, in_flight: int) -> None:
    numbers = iter(range(episodes))

    async def worker() -> None:
        for number in numbers:
            assert "42" in str(await ask(number))

    await asyncio.gather(*(worker() for _ in range(min(in_flight, episodes))))
