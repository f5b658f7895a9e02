"""Progress in a terminal: a panel that follows the events, milestones scrolling above it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio
from anyio import AsyncContextManagerMixin
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...engine.events import Event
from .lines import UNSAFE_WARNING, lines
from .text import accuracy, duration, one_line, plural, usd
from .tracking import Accuracy, RunState

_REFRESH_S = 0.2  # a panel costs about 3 ms to draw: 1.5 % of a core
_BAR = 24  # columns
_MOST_EVALUATIONS = 4  # bars at once
_MOST_ARMS = 12  # of a comparison


class LiveView(AsyncContextManagerMixin):
    """A lossy sink that draws. Use as `async with LiveView(...) as view`.

    Args:
        console: Where to draw; a terminal.
        state: What is known so far.
        epochs: Accepted improvements at which the run ends, to show against.
        patience: Rejections in a row after which it ends; None: unbounded.
    """

    def __init__(
        self,
        console: Console,
        state: RunState,
        *,
        epochs: int | None = None,
        patience: int | None = None,
    ) -> None:
        self._console = console
        self._state = state
        self._epochs = epochs
        self._patience = patience
        self._failures: set[str] = set()

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        live = Live(
            console=self._console,
            get_renderable=self.draw,
            auto_refresh=False,  # a task of ours refreshes: no thread looks at changing state
            transient=True,
        )
        with live:
            live.refresh()  # at once: what follows may keep the loop busy for a while
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._refresh, live)
                yield self
                tasks.cancel_scope.cancel()

    async def handle(self, event: Event) -> None:
        """Follow the event; print its lines above the panel."""
        self._state.follow(event)
        for line in lines(event, self._failures):
            self._console.print(Text(line.text, style=line.style), soft_wrap=True)

    def draw(self) -> RenderableType:
        """Return the panel as of now."""
        state, now = self._state, time.time()
        return Panel(
            Group(self._scores(), *self._bars(), self._steps(), self._speed(now), self._spent(now)),
            title=Text(f"{one_line(state.name, 40) or 'run'} · {state.phase}"),
            title_align="left",
            subtitle=self._subtitle(),
            subtitle_align="right",
            border_style="red" if state.sandbox == "unsafe" else "dim",
        )

    async def _refresh(self, live: Live) -> None:
        while True:
            live.refresh()
            await anyio.sleep(_REFRESH_S)

    def _subtitle(self) -> Text:
        if self._state.sandbox == "unsafe":
            return Text(UNSAFE_WARNING, style="bold red")
        return Text(f"run {self._state.run_id}", style="dim")

    def _scores(self) -> Table:
        state = self._state
        table = Table.grid(padding=(0, 2))
        if state.parts and not state.arms:
            for name, part in list(state.parts.items())[:_MOST_ARMS]:
                table.add_row(one_line(name, 40), _score_bar(part.incumbent), _learning(part))
            return table
        if state.arms:
            for arm, found in list(state.arms.items())[:_MOST_ARMS]:
                table.add_row(one_line(arm, 40), _score_bar(found), accuracy(found))
            return table
        table.add_row("incumbent", _score_bar(state.incumbent), accuracy(state.incumbent))
        table.add_row("candidate", _score_bar(state.candidate), accuracy(state.candidate))
        if state.test_before:
            table.add_row(
                "sealed test", _score_bar(state.test_after or state.test_before), self._test()
            )
        return table

    def _test(self) -> str:
        before, after = accuracy(self._state.test_before), self._state.test_after
        return f"{before} before" if after is None else f"{before} → {accuracy(after)}"

    def _bars(self) -> list[RenderableType]:
        found: list[RenderableType] = []
        for one in list(self._state.evaluations.values())[:_MOST_EVALUATIONS]:
            table = Table.grid(padding=(0, 2))
            done = one.planned - one.left
            table.add_row(
                ProgressBar(total=max(one.planned, 1), completed=done, width=_BAR),
                f"{one.name}  {done:,} of {plural(one.planned, 'episode')}",
            )
            found.append(table)
        return found

    def _speed(self, now: float) -> Text:
        state = self._state
        text = Text(f"{state.episodes_per_s(now):.1f} episodes/s · {state.in_flight} in flight · ")
        text.append(f"{state.failed} failed", style="red" if state.failed else "")
        if state.retries:
            text.append(f" · {plural(state.retries, 'retry').replace('retrys', 'retries')}")
        if (eta_s := state.eta_s(now)) is not None:
            text.append(f" · this evaluation ends in {duration(eta_s)}")
        return text

    def _steps(self) -> Text:
        state = self._state
        if state.arms:
            return Text(plural(len(state.arms), "arm"))
        if state.parts:
            return Text(plural(len(state.parts), "training"))
        epochs = f" of {self._epochs}" if self._epochs else ""
        patience = f" of {self._patience}" if self._patience is not None else ""
        return Text(
            f"step {state.step} · accepted {state.accepted}{epochs} · "
            f"rejected in a row {state.rejected}{patience} · "
            f"{plural(len(state.functions), 'function')}"
        )

    def _spent(self, now: float) -> Text:
        state, usage = self._state, self._state.usage
        elapsed_s = now - state.started_at_unix_s if state.started_at_unix_s else 0.0
        return Text(f"{usage.tokens:,} tokens · {usd(usage.cost_usd)} · {duration(elapsed_s)}")


def _learning(part: RunState) -> str:
    """Say how far a training is that goes on for a comparison."""
    ended = f" · {part.finished.status}" if part.finished else ""
    return f"{accuracy(part.incumbent)} · step {part.step} · accepted {part.accepted}{ended}"


def _score_bar(value: Accuracy | None) -> RenderableType:
    if value is None:
        return Text("─" * _BAR, style="dim")
    return ProgressBar(total=1.0, completed=value.score, width=_BAR, complete_style="green")
