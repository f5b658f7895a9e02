"""Judges mathematical answers: by spelling where that settles it, else by computer algebra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from ...engine.episode import Episode, Score
from ...engine.errors import ScorerError
from ...engine.tasks import Task
from .latex import canonical, ordered, readable, same_spelling
from .rules import differs, verdict

_COMPARED = 1_000  # characters; a longer answer is right only if spelt as the target
_READ = 20_000  # characters; of a longer answer nothing is read
_REMEMBERED = 20_000
_LINE_BYTES = 10_000
_START_S = 60.0  # importing the library takes 1 s, on a busy machine several
_CLOSE_S = 5.0


class AlgebraWorker:
    """A process that compares answers one at a time; replaced when it dies or hangs.

    As `async with` it stays for many comparisons; each `compare` outside of one starts its own.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream | None = None
        self._keep = False
        self._lock = anyio.Lock()

    async def __aenter__(self) -> AlgebraWorker:
        self._keep = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self._keep = False
        await self._stop()

    async def compare(self, target: str, answer: str) -> tuple[bool, str]:
        """Return whether two answers are equal, and why not where that is the bound's doing.

        Raises:
            ScorerError: The worker does not even compare 1 with 1.
        """
        async with self._lock:
            try:
                reply = await self._ask(target, answer)
                if reply is None:
                    # the answer killed the worker, or no worker lives here: tell them apart
                    if await self._ask("x+1", "1+x") != {"equal": True, "why": ""}:
                        raise ScorerError(
                            "the process that compares mathematical answers does not work; "
                            "is math-verify installed?"
                        )
                    return False, "could not be compared: too large"
                return bool(reply["equal"]), str(reply["why"])
            finally:
                if not self._keep:
                    await self._stop()

    async def _ask(self, target: str, answer: str) -> dict[str, Any] | None:
        """Ask once; None: there was no reply, and the process is gone."""
        fresh = self._process is None
        if self._process is None:
            await self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._lines is not None
        line = json.dumps({"target": target, "answer": answer}) + "\n"
        settled = False
        try:
            with anyio.move_on_after(self._timeout_s + (_START_S if fresh else 0)):
                await self._process.stdin.send(line.encode())
                reply: dict[str, Any] = json.loads(
                    await self._lines.receive_until(b"\n", _LINE_BYTES)
                )
                settled = True
                return reply
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
            pass
        finally:
            if not settled:  # a late reply would be taken for the next one's
                await self._stop()
        return None

    async def _start(self) -> None:
        kept = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "HOME")
        self._process = await anyio.open_process(
            [sys.executable, "-P", "-m", f"{__package__}.math_worker"],
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in kept if name in os.environ},
            start_new_session=True,  # an interrupt at the terminal is the parent's to handle
        )
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)

    async def _stop(self) -> None:
        process, self._process, self._lines = self._process, None, None
        if process is not None:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
                if process.returncode is None:
                    process.kill()
                await process.aclose()


class MathScorer:
    """Equal mathematical answers, however they are spelt.

    Use as `async with` to keep the worker; without, it is started for each comparison.

    Source: Hendrycks et al., arXiv 2103.03874 for the spelling; the library math-verify for the
    algebra, whose time limits by signal do not work in threads: hence the process.
    """

    def __init__(self, *, timeout_s: float = 30.0) -> None:
        self._worker = AlgebraWorker(timeout_s=timeout_s)
        self._known: OrderedDict[tuple[str, str], tuple[bool, str]] = OrderedDict()

    async def __aenter__(self) -> MathScorer:
        await self._worker.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._worker.__aexit__(*error)

    async def __call__(self, task: Task, episode: Episode) -> Score:
        """Judge an episode's answer."""
        answer, target = episode.answer, task.target
        if target is None:
            raise ScorerError(f"task {task.id} has no target to compare with")
        if answer is None:
            return Score(value=0.0, comment="no answer")
        equal, why = await self.compare(target, answer)
        return verdict(equal, "; ".join(filter(None, (differs(answer, target), why))))

    async def compare(self, target: str, answer: str) -> tuple[bool, str]:
        """Return whether two answers are equal, and a remark where that could not be told."""
        if max(len(target), len(answer)) > _READ:
            return target.strip() == answer.strip(), ""
        answer = ordered(target, answer)
        wanted, given = canonical(target), canonical(answer)
        same = same_spelling(wanted, given)
        if same is not None:
            return same, ""
        if not given or len(answer) > _COMPARED or len(target) > _COMPARED:
            return False, ""
        key = (target, answer)
        if key not in self._known:
            self._known[key] = await self._algebra(target, answer)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]

    async def _algebra(self, target: str, answer: str) -> tuple[bool, str]:
        return await self._worker.compare(readable(target), readable(answer))
