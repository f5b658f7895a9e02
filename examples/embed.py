"""Two trainings at once inside a web app, their events streamed to a browser.

    pip install "funcforge[examples]"
    uvicorn embed:app --app-dir examples

Open http://127.0.0.1:8000: two trainings start, side by side in one event loop; stop one and the
other goes on. Behind a proxy, put your own log-in in front of it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from funcforge import Config, FuncforgeError, load_config, open_training
from funcforge.engine.events import EpisodeFinished, Event, RunFinished, event_to_json
from funcforge.engine.usage import NO_USAGE
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.routing import Route

HERE = Path(__file__).parent
PAGE = """<!doctype html><meta charset="utf-8"><title>Two trainings</title>
<style>body{font:16px system-ui;margin:2rem}pre{height:60vh;overflow:auto;background:#f4f4f4}
main{display:grid;grid-template-columns:1fr 1fr;gap:1rem}</style>
<main></main><script>
for (const name of ["a", "b"]) {
  const box = document.createElement("section");
  box.innerHTML = `<h2>Training ${name} <button>Stop</button></h2><pre id="${name}"></pre>`;
  document.querySelector("main").append(box);
  const out = box.querySelector("pre");
  const source = new EventSource(`/trainings/${name}/events`);
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    out.textContent += `${event.event} ${event.evaluation ?? event.step ?? ""} ` +
      `${event.score ?? event.status ?? ""}\\n`;
    if (event.event === "RunFinished") source.close();
  };
  box.querySelector("button").onclick = () => fetch(`/trainings/${name}`, {method: "DELETE"});
}
</script>"""


class Trainings:
    """The app's trainings by name, each a task of the app and not of a browser's request."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: dict[str, anyio.CancelScope] = {}

    def start(self, name: str, config: Config) -> MemoryObjectReceiveStream[Event]:
        """Start a training and return its events."""
        send, receive = anyio.create_memory_object_stream[Event](100)
        self._group.start_soon(self._train, name, config, send)
        return receive

    async def _train(
        self, name: str, config: Config, events: MemoryObjectSendStream[Event]
    ) -> None:
        with events, anyio.CancelScope() as scope:
            self._scopes[name] = scope
            try:
                async with open_training(config) as run:
                    async for event in run.run():
                        if not isinstance(event, EpisodeFinished):  # too many for a page
                            await _send(events, event)
            except FuncforgeError as error:  # one training that cannot begin ends no other
                failed = {"status": "failed", "stopped_by": "error", "message": str(error)}
                await _send(events, RunFinished(run_id="", usage=NO_USAGE, seconds=0.0, **failed))
        if self._scopes.get(name) is scope:
            del self._scopes[name]

    def cancel(self, name: str) -> bool:
        """Stop a training now; whether there was one. What it paid for is kept."""
        scope = self._scopes.get(name)
        if scope is not None:
            scope.cancel()
        return scope is not None


async def _send(events: MemoryObjectSendStream[Event], event: Event) -> None:
    with suppress(anyio.BrokenResourceError):  # the browser left; the training goes on
        await events.send(event)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Own every training: when the app ends, so do they."""
    async with anyio.create_task_group() as group:
        app.state.trainings = Trainings(group)
        yield
        group.cancel_scope.cancel()


async def page(request: Request) -> HTMLResponse:
    """The page that watches."""
    return HTMLResponse(PAGE)


async def events(request: Request) -> StreamingResponse:
    """Start a training and stream its events (server-sent events)."""
    name = request.path_params["name"]
    trainings: Trainings = request.app.state.trainings
    config = load_config(
        HERE / "quickstart.toml",
        overrides=[f"name={name}", *getattr(request.app.state, "overrides", ())],
    )
    received = trainings.start(name, config)

    async def lines() -> AsyncIterator[str]:
        with received:
            async for event in received:
                yield f"data: {json.dumps(event_to_json(event))}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


async def cancel(request: Request) -> JSONResponse:
    """Stop one training; the other goes on."""
    return JSONResponse(
        {"stopped": request.app.state.trainings.cancel(request.path_params["name"])}
    )


app = Starlette(
    routes=[
        Route("/", page),
        Route("/trainings/{name}/events", events),
        Route("/trainings/{name}", cancel, methods=["DELETE"]),
    ],
    lifespan=lifespan,
)
