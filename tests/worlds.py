"""An environment for tests: a till whose money moves, and ways in which it can be broken."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from funcforge.engine.messages import Tool
from funcforge.engine.ports import CallResult
from funcforge.engine.tasks import Task

AMOUNT = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
    "additionalProperties": False,
}
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}


class TillSession:
    """Holds money. It may be taken out as long as there is some."""

    def __init__(self, balance: int, *, pause: Callable[[], Awaitable[None]]) -> None:
        self._balance = balance
        self._log: list[str] = []
        self._pause = pause

    def tools(self) -> tuple[Tool, ...]:
        return (
            Tool(name="deposit", description="Put money in.", arguments=AMOUNT),
            Tool(name="withdraw", description="Take money out.", arguments=AMOUNT),
            Tool(name="balance", description="Count the money.", arguments=NOTHING),
            Tool(name="snare", description="Breaks.", arguments=NOTHING),
            Tool(name="bog", description="Hangs.", arguments=NOTHING),
            Tool(name="smoke", description="Says that it broke.", arguments=NOTHING),
            Tool(name="mirror", description="Gives what is no JSON.", arguments=NOTHING),
            Tool(name="void", description="Gives no result.", arguments=NOTHING),
        )

    async def call(self, name: str, arguments: Mapping[str, Any]) -> CallResult:
        match name:
            case "snare":
                raise RuntimeError("the drawer is stuck")
            case "bog":
                await anyio.sleep_forever()
            case "smoke":
                return CallResult(outcome="system_failure", error="smoke")
            case "mirror":
                return CallResult(outcome="value", value=object())
            case "void":
                return None  # type: ignore[return-value] - a broken rule
        before = self._balance
        await self._pause()  # another call in between would lose money
        amount = int(arguments.get("amount", 0))
        if name == "withdraw" and amount > before:
            return CallResult(outcome="exception", error=f"there are only {before}")
        self._balance = before + (amount if name == "deposit" else -amount)
        self._log.append(f"{name} {amount}")
        return CallResult(outcome="value", value={"balance": self._balance})

    def snapshot(self) -> Any:
        return {"balance": self._balance, "log": self._log}


class Till:
    """Opens a till whose first balance is drawn by the seed; counts what is open."""

    def __init__(self, jitter: int | None = None) -> None:
        self.open_now = 0
        self.opened: list[tuple[str, str | None, int]] = []
        self._jitter = random.Random(jitter)

    @asynccontextmanager
    async def open(self, task: Task, *, seed: int) -> AsyncGenerator[TillSession]:
        self.opened.append((task.id, task.target, seed))
        self.open_now += 1
        try:
            yield TillSession(random.Random(seed).randrange(10, 100), pause=self._pause)
        finally:
            self.open_now -= 1

    async def _pause(self) -> None:
        for _ in range(self._jitter.randrange(4)):
            await anyio.lowlevel.checkpoint()


def till(**options: Any) -> Till:
    """What a config names."""
    return Till(**options)
