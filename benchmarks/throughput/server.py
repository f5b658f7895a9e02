"""A provider on loopback that costs next to nothing: OpenAI's chat wire over raw sockets.

    python -m benchmarks.throughput.server --latency 0.2

prints `{"base_url": ..., "pid": ...}` and serves until SIGTERM. What is measured against it is the
client. It parses no JSON: a request is answered by how many turns its conversation has had, which
it counts in the bytes. With --calls N the first N replies of a conversation call the function
`compute`; the next one answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

ROOT = Path(__file__).resolve().parents[2]
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_TURN = b'"role":"tool"'
USAGE = {"prompt_tokens": 520, "completion_tokens": 12, "total_tokens": 532}


def reply(content: str | None, tool: str | None = None, turn: int = 0) -> bytes:
    """Return a whole HTTP response."""
    message: dict[str, object] = {"role": "assistant", "content": content}
    if tool is not None:
        arguments = {"code": "print(6 * 7)"} if tool == "python" else {"x": 6, "y": 7}
        called = {"name": tool, "arguments": json.dumps(arguments)}
        message["tool_calls"] = [{"id": f"call_{turn}", "type": "function", "function": called}]
    body = orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": "stop" if tool is None else "tool_calls",
                }
            ],
            "usage": USAGE,
        }
    )
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Provider(asyncio.Protocol):
    """One connection: requests one after the other, each answered after the latency."""

    def __init__(self, latency_s: float, replies: list[bytes]) -> None:
        self._latency_s = latency_s
        self._replies = replies
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's has another base

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._rest = self._rest + data if self._rest else data
        head_end = self._rest.find(b"\r\n\r\n")
        if head_end < 0:
            return
        found = _LENGTH.search(self._rest, 0, head_end)
        end = head_end + 4 + (int(found[1]) if found else 0)
        if len(self._rest) < end:
            return
        turn = min(self._rest.count(_TURN, head_end, end), len(self._replies) - 1)
        self._rest = self._rest[end:]
        if self._latency_s:
            self._loop.call_later(self._latency_s, self._answer, turn)
        else:
            self._answer(turn)

    def _answer(self, turn: int) -> None:
        if self._transport is not None:
            self._transport.write(self._replies[turn])


async def serve(latency_s: float, calls: int, tool: str) -> None:
    """Serve until SIGTERM."""
    replies = [reply(None, tool, turn) for turn in range(calls)]
    # in a box, and within the fields that DSPy looks for
    replies.append(reply("[[ ## answer ## ]]\n\\boxed{42}\n\n[[ ## completed ## ]]"))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Provider(latency_s, replies), "127.0.0.1", 0, backlog=4096
    )
    port = server.sockets[0].getsockname()[1]
    told = {"base_url": f"http://127.0.0.1:{port}/v1", "pid": os.getpid()}
    print(json.dumps(told), flush=True)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


@dataclass(frozen=True, slots=True)
class Served:
    """A provider in another process."""

    base_url: str
    pid: int


@asynccontextmanager
async def served(
    latency_s: float, *, calls: int = 0, tool: str = "compute"
) -> AsyncGenerator[Served]:
    """Start a provider in a process of its own; end it with the block."""
    import sys

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.throughput.server"),
        *("--latency", str(latency_s), "--calls", str(calls), "--tool", tool),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        yield Served(told["base_url"], told["pid"])
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    """Serve."""
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--tool", default="compute")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.latency, options.calls, options.tool))


if __name__ == "__main__":
    main()
