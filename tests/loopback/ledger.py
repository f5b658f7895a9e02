"""The provider's own book of every call: what tests judge the client by, from outside."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request that arrived.

    `outcome` is "open" while it is in flight, then "answered" (a whole, correct reply was
    sent), "client_gone" (the client hung up), "limited" (the rate limiter said 429), or the
    name of the fault that was injected.
    """

    number: int
    at_unix_s: float
    wire: str
    path: str
    model: str = ""
    hash: str = ""
    attempt: int = 0
    key: str = ""
    outcome: str = "open"
    status: int = 0
    prompt_tokens: int = 0  # billed
    completion_tokens: int = 0  # billed
    cached_tokens: int = 0
    ended_unix_s: float = 0.0


class Ledger:
    """All entries, in order of arrival; also as JSON lines in a file, if one is given.

    A line is written at arrival and another at the end of each call, flushed at once: a reader
    in another process sees what was in flight whenever it looks.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self._asked: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger that another process wrote, or still writes."""
        ledger = cls()
        by_number: dict[int, Entry] = {}
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # being written now
            entry = Entry(**json.loads(line))
            by_number[entry.number] = entry
        ledger.entries = [by_number[number] for number in sorted(by_number)]
        moments = [(entry.at_unix_s, 1) for entry in ledger.entries]
        moments += [(entry.ended_unix_s, -1) for entry in ledger.entries if entry.ended_unix_s]
        for _, change in sorted(moments):
            ledger.in_flight += change
            ledger.peak_in_flight = max(ledger.peak_in_flight, ledger.in_flight)
        return ledger

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def attempt(self, request_hash: str) -> int:
        """Count one more arrival of this body; return how many there were before."""
        before = self._asked[request_hash]
        self._asked[request_hash] = before + 1
        return before

    def open(self, entry: Entry) -> None:
        """Book an arrival."""
        self.entries.append(entry)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self._write(entry)

    def close(self, entry: Entry) -> None:
        """Book the end of a call, once."""
        if not entry.ended_unix_s:
            entry.ended_unix_s = time.time()
            self.in_flight -= 1
            self._changed.set()
            self._write(entry)

    async def idle(self) -> None:
        """Wait until no call is in flight."""
        while self.in_flight:
            self._changed.clear()
            await self._changed.wait()

    def aclose(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def outcomes(self) -> Counter[str]:
        """Count entries by outcome."""
        return Counter(entry.outcome for entry in self.entries)

    def answered(self) -> list[Entry]:
        """Return the calls that got a whole, correct reply."""
        return [entry for entry in self.entries if entry.outcome == "answered"]

    def repeated(self) -> dict[str, int]:
        """Return request hash -> answers, for those that were answered more than once."""
        counts = Counter(entry.hash for entry in self.answered())
        return {digest: count for digest, count in counts.items() if count > 1}

    @property
    def tokens(self) -> int:
        """All billed tokens."""
        return sum(entry.prompt_tokens + entry.completion_tokens for entry in self.entries)

    def summary(self) -> dict[str, Any]:
        """Return the totals as JSON."""
        return {
            "calls": len(self.entries),
            "outcomes": dict(self.outcomes()),
            "prompt_tokens": sum(entry.prompt_tokens for entry in self.entries),
            "completion_tokens": sum(entry.completion_tokens for entry in self.entries),
            "peak_in_flight": self.peak_in_flight,
            "in_flight": self.in_flight,
        }

    def _write(self, entry: Entry) -> None:
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()
