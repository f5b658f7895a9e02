"""The program of a worker process: `python -m funcforge.adapters.executors.process FD`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

from ..loop import run_loop
from .bench import Setup
from .processes import CLOSE_S, Pipe
from .wire import Packed
from .worker import Worker


def main() -> None:
    """Work until the other end of the socket is closed, however that comes about."""
    end = socket.socket(fileno=int(sys.argv[1]))
    run_loop(_work, end)


async def _work(end: socket.socket) -> None:
    told: asyncio.Future[Packed] = asyncio.get_running_loop().create_future()
    worker: Worker | None = None

    def receive(message: Packed) -> None:
        if worker is None:
            told.set_result(message)
        else:
            worker.receive(message)

    def lost() -> None:
        # whatever a person's agent does meanwhile, this process does not outlive its run
        watchdog = threading.Timer(2 * CLOSE_S, os._exit, (1,))
        watchdog.daemon = True
        watchdog.start()
        if worker is not None:
            worker.stop()
        told.cancel()

    pipe = await Pipe.connect(end, receive, lost)
    try:
        _, *setup = await told
    except asyncio.CancelledError:
        return
    worker = Worker(pipe.send)
    await worker.serve(Setup.from_plain(tuple(setup)))
    pipe.close()


if __name__ == "__main__":
    main()
