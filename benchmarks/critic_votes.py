"""Do many votes keep the rate and the budget? Run: `python -m benchmarks.critic_votes`.

Over real HTTP to the loopback provider, which books every arrival: 1,000 agent calls and 16,000
votes under one limit of 6,000 calls a minute, stopped once by a cap on calls, then resumed. Writes
`benchmarks/results/critic_votes.md`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
import time
from pathlib import Path

from tests.end_to_end.voting import Voted, vote

RESULTS = Path(__file__).parent / "results" / "critic_votes.md"


def tell(voted: Voted) -> str:
    """Return the result as a page."""
    after = voted.calls - voted.paused_calls
    lines = [
        "# Votes of a critic under a rate limit and a budget",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}. `python -m benchmarks.critic_votes`",
        "",
        "| | |",
        "| --- | --- |",
        f"| trajectories | {voted.trajectories:,} |",
        f"| votes on each | {voted.votes} |",
        f"| calls, by the provider's ledger | {voted.calls:,} |",
        f"| that is, of one agent call and the votes for each | "
        f"{voted.trajectories * (1 + voted.votes):,} |",
        f"| cap on calls of the first part | {voted.cap:,} |",
        f"| calls when the run paused | {voted.paused_calls:,} |",
        f"| trajectories judged in the end | {voted.judged:,} |",
        f"| limit, calls a minute | {voted.per_minute:,} |",
        f"| most arrivals in any {voted.window_s:g} s | {voted.most_in_window:,} |",
        f"| allowed: the rate and its burst | {voted.allowed_in_window:,.0f} |",
        f"| calls a minute kept up after the resume | {after / voted.seconds * 60:,.0f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page; a broken promise raises."""
    os.environ.setdefault("OPENAI_API_KEY", "sk-loopback")
    with tempfile.TemporaryDirectory() as name:
        voted = asyncio.run(
            vote(Path(name), trajectories=1_000, votes=16, per_minute=6_000, cap=9_000,
                 window_s=60.0)
        )  # fmt: skip
    page = tell(voted)
    print(page)
    if voted.paused_calls > voted.cap or voted.most_in_window > voted.allowed_in_window:
        raise SystemExit("a promise is broken")
    if voted.calls != voted.trajectories * (1 + voted.votes):
        raise SystemExit("a vote was lost or paid twice")
    RESULTS.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
