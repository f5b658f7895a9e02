"""What test workers work with: doubles that leave traces in a folder, readable from outside."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from funcforge.adapters.executors.bench import Bench, Desk, Setup
from funcforge.engine.agent import Workspace
from funcforge.engine.episode import Episode, Score
from funcforge.engine.errors import ConfigError, RequestRefused, TransientModelError
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.ports import AgentLimits, Answer, ModelFacts
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage
from funcforge.engine.workspace import AgentSettings

from tests.doubles import ProgrammedModel, TableSandbox

SETUP = "tests.contracts.benches:open_bench"


class TracingModel:
    """Answers with the question; what the question says happens, and stands in a file.

    "slow" takes a tenth of a second, "long" forever, "refused" and "busy once" fail, "kill once"
    ends the process that asks and "hang once" stops its event loop, the first time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self, model: str) -> ModelFacts:
        return ProgrammedModel().describe(model)

    async def complete(self, request: Request) -> Reply:
        text = request.messages[-1].content
        self._trace("asked", text)
        try:
            await self._happen(text, request.model)
        finally:
            self._trace("left", text)
        return Reply(
            message=Message(role="assistant", content=text),
            finish="stop",
            usage=Usage(calls=1, prompt_tokens=10, completion_tokens=5, cost_pusd=20_000_000),
        )

    async def _happen(self, text: str, model: str) -> None:
        if "slow" in text:
            await anyio.sleep(0.1)
        if "long" in text:
            await anyio.sleep_forever()
        if "refused" in text:
            raise RequestRefused("no", kind="content_filter", model=model)
        if "busy once" in text and self._first(text):
            raise TransientModelError("later", kind="rate_limit", model=model)
        if (text == "kill once" and self._first(text)) or text == "kill always":
            await anyio.sleep(0.05)  # let others begin
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "hang once" and self._first(text):
            await anyio.sleep(0.05)
            time.sleep(600)  # noqa: ASYNC251 - as a person's code might

    def _first(self, text: str) -> bool:
        with suppress(FileExistsError):
            (self._folder / text.replace(" ", "_")).touch(exist_ok=False)
            return True
        return False

    def _trace(self, what: str, text: str) -> None:
        line = json.dumps([what, text, os.getpid(), time.time()]) + "\n"
        with (self._folder / "trace.jsonl").open("a") as file:
            file.write(line)


def trace(folder: Path, what: str = "asked") -> list[tuple[str, int, float]]:
    """Return (question, process, when) of all that was asked, or left."""
    file = folder / "trace.jsonl"
    lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return [(text, pid, at) for kind, text, pid, at in lines if kind == what]


async def agent(task: Task, workspace: Workspace) -> Answer:
    """Asks twice, the second time about the first reply; "raise" in the task makes it raise."""
    if "raise" in task.prompt:
        raise ValueError(task.prompt)
    first = await workspace.complete([Message(role="user", content=task.prompt)])
    folder = task.files.get("seen")
    if folder is not None:
        (Path(folder) / "seen").touch()
    text = f"{first.message.content}, really?"
    second = await workspace.complete([Message(role="user", content=text)])
    if "odd answer" in task.prompt:
        return Answer(text=lambda: None)  # type: ignore[arg-type]
    return Answer(text=second.message.content)


async def scorer(task: Task, episode: Episode) -> Score:
    """1 where the target stands in the answer."""
    return Score(value=float(str(task.target) in str(episode.answer)), comment="seen")


@asynccontextmanager
async def open_bench(given: Mapping[str, Any], judge: Desk) -> AsyncGenerator[Bench]:
    """Open a bench on the folder given."""
    if given.get("broken"):
        raise ConfigError("this bench is broken", key="agent.kind")
    if given.get("dies"):
        os.kill(os.getpid(), signal.SIGKILL)

    async def judged(task: Task, episode: Episode) -> Score:
        if task.metadata.get("judge"):
            request = Request(
                model="test/judge", messages=(Message(role="user", content=f"judge {task.id}"),)
            )
            await judge(f"score/{episode.id}", request)
        return await scorer(task, episode)

    yield Bench(
        agent=agent,
        settings=AgentSettings(model="test/agent", python=False),
        limits=AgentLimits(),
        scorer=judged,
        sandbox=TableSandbox(),
        model=TracingModel(Path(given["folder"])),
        timeout_s=given.get("timeout_s", 60.0),
    )


def setup(folder: Path, **given: Any) -> Setup:
    """The setup of workers that leave their traces in a folder."""
    return Setup(opener=SETUP, given={"folder": str(folder), **given})
