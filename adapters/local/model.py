"""Open models in folders on this machine, as `local/PATH`: a `Model` over worker processes."""

from __future__ import annotations

import itertools
import json
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup

from ...engine.errors import ModelConfigError, RequestRefused, TransientModelError
from ...engine.messages import Message, Reply, Request, ToolCall
from ...engine.ports import ModelFacts
from ...engine.usage import Usage
from ..exporters.tuning_rows import trl_messages
from ..models.chat import chat_tools
from .process import INSTALL, Worker, last_words, missing_packages

LOCAL = "local"
_CONTEXT_TOKENS = 32_768  # of a model whose config does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """How models are served here."""

    batch_size: int = 32  # requests answered together
    threads: int = 0  # 0: torch's own choice
    loaded: int = 2  # models held in memory; the one unused for longest goes first
    temperature: float = 1.0  # where a request names none


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A request on its way."""

    done: anyio.Event = field(default_factory=anyio.Event)
    told: dict[str, Any] | None = None  # None: the worker died


class LocalModels(AsyncContextManagerMixin):
    """Serves model folders; a folder of an adapter, on the base that it names.

    Requests that wait together are answered in one batch; each is sampled by its own seed.
    A worker that died is started again by the next request.
    """

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._settings = settings or LocalSettings()
        self._servers: dict[str, _Server] = {}  # the least recently used first
        self._group: TaskGroup | None = None
        self._starting = anyio.Lock()
        self._log = Path(tempfile.gettempdir())

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        with tempfile.TemporaryDirectory(prefix="funcforge-") as folder:
            self._log = Path(folder) / "worker.log"
            async with anyio.create_task_group() as group:
                self._group = group
                try:
                    yield self
                finally:
                    self._group = None
                    group.cancel_scope.cancel()

    def describe(self, model: str) -> ModelFacts:
        """Return what the folder's config says. Torch is not needed for that."""
        folder = model_folder(model)
        context = int(_config(folder, model).get("max_position_embeddings") or _CONTEXT_TOKENS)
        return ModelFacts(
            context_tokens=context,
            max_output_tokens=context,
            prompt_pusd=0,
            completion_pusd=0,
            account=LOCAL,
        )

    async def complete(self, request: Request) -> Reply:
        """Ask once."""
        missing = missing_packages()
        if missing:
            raise ModelConfigError(
                f"{request.model}: open models need {', '.join(missing)}: {INSTALL}",
                kind="unsupported",
                model=request.model,
            )
        server = await self._server(request.model)
        told = await server.ask(self._row(request))
        if told is None or told["event"] == "error":
            raise self._died(request.model, told)
        if told["event"] == "refused":
            raise RequestRefused(
                f"{request.model}: {told['message']}", kind=told["kind"], model=request.model
            )
        return _reply(told)

    async def _server(self, model: str) -> _Server:
        async with self._starting:
            server = self._servers.pop(model, None)
            if server is None or server.ended:
                server = await self._start(model)
            self._servers[model] = server
        await server.ready.wait()
        return server

    async def _start(self, model: str) -> _Server:
        if self._group is None:
            raise RuntimeError("local models are used inside `async with`")
        idle = [name for name, server in self._servers.items() if not server.waiting]
        for name in idle[: max(0, len(self._servers) + 1 - self._settings.loaded)]:
            self._servers.pop(name).stop()
        spec = {
            "task": "serve",
            "model": str(model_folder(model)),
            "batch_size": self._settings.batch_size,
            "threads": self._settings.threads,
        }
        server = _Server(await Worker.start(spec, self._log))
        self._group.start_soon(server.run)
        return server

    def _row(self, request: Request) -> dict[str, Any]:
        temperature = request.temperature
        return {
            "messages": trl_messages(request.messages),
            "tools": [] if request.tool_choice == "none" else chat_tools(request.tools),
            "max_tokens": request.max_tokens,
            "temperature": self._settings.temperature if temperature is None else temperature,
            "seed": secrets.randbits(62) if request.seed is None else request.seed % 2**62,
            "stop": list(request.stop),
        }

    def _died(self, model: str, told: Mapping[str, Any] | None) -> Exception:
        if told is not None:
            return ModelConfigError(f"{model}: {told['message']}", kind="unsupported", model=model)
        return TransientModelError(
            f"{model}: its process died: {last_words(self._log)}", kind="server_error", model=model
        )


class _Server:
    """One worker that serves, and who waits for it."""

    def __init__(self, worker: Worker) -> None:
        self.ready = anyio.Event()
        self.ended = False
        self.waiting: dict[int, _Asked] = {}
        self._worker = worker
        self._numbers = itertools.count()
        self._error: dict[str, Any] | None = None
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Hand out what the worker says, until it ends or is stopped."""
        try:
            with self._scope:
                async for told in self._worker.messages():
                    self._take(told)
        finally:
            self.ended = True
            self.ready.set()
            for asked in self.waiting.values():
                asked.told = self._error
                asked.done.set()
            await self._worker.aclose()

    def _take(self, told: dict[str, Any]) -> None:
        if told["event"] == "ready":
            self.ready.set()
        elif told["event"] == "error":
            self._error = told
        elif (asked := self.waiting.get(told["id"])) is not None:
            asked.told = told
            asked.done.set()

    async def ask(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Return the worker's answer; None if it died."""
        if self.ended:
            return self._error
        number, asked = next(self._numbers), _Asked()
        self.waiting[number] = asked
        try:
            await self._worker.tell({**row, "id": number})
            await asked.done.wait()
        finally:
            del self.waiting[number]
        return asked.told

    def stop(self) -> None:
        """End the worker."""
        self._scope.cancel()


def model_folder(model: str) -> Path:
    """Return the folder that `local/PATH` names; a path may be absolute: `local//opt/model`."""
    return Path(model.partition("/")[2]).expanduser()


def _config(folder: Path, model: str) -> Mapping[str, Any]:
    """Read a model folder's config; of an adapter's folder, its base's."""
    try:
        adapter = folder / "adapter_config.json"
        if adapter.exists():
            folder = Path(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"])
        config = json.loads((folder / "config.json").read_text("utf-8"))
        if not isinstance(config, dict):
            raise TypeError("it is no object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelConfigError(
            f"{model}: {folder} holds no model (config.json: {what}); local/PATH names a folder "
            "as transformers saves it",
            kind="unknown_model",
            model=model,
        ) from None
    return config


def _reply(told: Mapping[str, Any]) -> Reply:
    calls = tuple(
        ToolCall(id=f"call_{at}", name=call["name"], arguments=call["arguments"])
        for at, call in enumerate(told["tool_calls"])
    )
    finish: Any = "length" if told["cut_off"] else "tool_calls" if calls else "stop"
    return Reply(
        message=Message(role="assistant", content=told["content"], tool_calls=calls),
        finish=finish,
        usage=Usage(
            calls=1,
            prompt_tokens=told["prompt_tokens"],
            completion_tokens=told["completion_tokens"],
        ),
        latency_s=told["elapsed_s"],
    )
