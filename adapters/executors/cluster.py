"""Workers as async actors of a Ray cluster. The database, the budget and the limiter stay here.

Messages go out in chunks: one delivery is on its way at a time, and what is said meanwhile makes
the next one. They come back the same way, by one waiting call for each actor.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ...engine.errors import ConfigError
from .actor import Actor, installed
from .bench import Setup
from .member import Link, Member
from .strands import Strands
from .wire import Frames, Packed, frame

START_S = 120.0  # until an actor has a place and a process, where the cluster is busy
CLOSE_S = 5.0

_lock = threading.Lock()  # Ray has one connection for a process, which several runs may share
_connections = 0  # runs that share the one that we made


@asynccontextmanager
async def open_cluster(address: str | None, workers: int | None) -> AsyncGenerator[Cluster]:
    """Connect with a cluster, or make one on this machine for as long as the block lasts.

    An application that is connected already keeps its connection, and it is used.

    Args:
        address: Of the cluster; "auto" finds the one that this machine is of; None makes one.
        workers: How many there will be; None: one for each CPU.

    Raises:
        ConfigError: Ray is not installed, nothing answers there, or its versions are others.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            'is "ray", which is not installed: pip install "funcforge[ray]"', key="executor.kind"
        )
    ours = await anyio.to_thread.run_sync(partial(_connect, address, workers))
    try:
        yield Cluster(await anyio.to_thread.run_sync(_cpus))
    finally:
        with anyio.CancelScope(shield=True):
            if ours:
                await anyio.to_thread.run_sync(_disconnect)


class Cluster:
    """Starts actors, each on one CPU, spread over the nodes. Made by `open_cluster`."""

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus

    async def start(self, setup: Setup, member: Member) -> Link:
        """Start an actor and have it set up.

        Raises:
            ConfigError: There is no free CPU, or its node lacks what this process has.
        """
        import ray

        known: Any = ray  # its types leave out two of these
        remote = known.remote(
            num_cpus=1,
            max_restarts=0,  # the crew replaces it: another has to be told its setup
            max_concurrency=1000,
            scheduling_strategy="SPREAD",
        )(Actor)
        handle = remote.remote()
        link = _ActorLink(handle, member)
        try:
            with anyio.fail_after(START_S):
                there = await handle.installed.remote()
        except TimeoutError:
            await link.aclose()
            raise ConfigError(
                f"no node of the cluster had a free CPU for {member.name} within {START_S:g} s; "
                f"it has {self.cpus} in all: set fewer",
                key="executor.workers",
            ) from None
        except BaseException as error:
            await link.aclose()
            if isinstance(error, ray.exceptions.RayError):
                raise _start_error(error) from error
            raise
        if there != installed():
            await link.aclose()
            raise ConfigError(
                f"a node of the cluster has {_spell(there)}, this process {_spell(installed())}: "
                "install the same on every node",
                key="executor.address",
            )
        link.begin()
        link.send(("setup", *setup.to_plain()))
        return link


class _ActorLink:
    """An actor, and the two calls that are always out to it."""

    def __init__(self, handle: Any, member: Member) -> None:
        self._handle = handle
        self._member = member
        self._waiting: list[bytes] = []
        self._said = asyncio.Event()
        self._strands = Strands()

    def begin(self) -> None:
        """Begin to talk."""
        self._strands.start(self._until_lost(self._deliver))
        self._strands.start(self._until_lost(self._collect))

    def send(self, message: Packed) -> None:
        """Queue a message."""
        self._waiting.append(frame(message))
        self._said.set()

    async def aclose(self) -> None:
        """Have the actor close what it opened, then end its process."""
        import ray

        with anyio.CancelScope(shield=True):
            if self._member.gone is None:
                with anyio.move_on_after(CLOSE_S), suppress(ray.exceptions.RayError):
                    await self._handle.end.remote()
            await self._strands.__aexit__()
            with suppress(ray.exceptions.RayError):
                await anyio.to_thread.run_sync(ray.kill, self._handle)
        self._member.lose("was ended")

    async def _deliver(self) -> None:
        while True:
            await self._said.wait()
            self._said.clear()
            data, self._waiting = b"".join(self._waiting), []
            if data:
                await self._handle.deliver.remote(data)

    async def _collect(self) -> None:
        frames = Frames()
        while True:
            for message in frames.feed(await self._handle.collect.remote()):
                self._member.receive(message)

    async def _until_lost(self, work: Any) -> None:
        try:
            await work()
        except Exception as error:  # what Ray says of a lost actor, node or network
            first = str(error).strip().partition("\n")[0]
            self._member.lose(f"was lost: {type(error).__name__}: {first}")


def _start_error(error: Exception) -> Exception:
    """Say what a person must change for an actor to start."""
    text = str(error)
    if "No module named 'funcforge" in text or "failed to import" in text:
        return ConfigError(
            "a node of the cluster cannot import funcforge: install the same version of it, with "
            "the same packages, on every node",
            key="executor.address",
        )
    return ConfigError(f"an actor does not start: {text[:2_000]}", key="executor.address")


def _connect(address: str | None, workers: int | None) -> bool:
    """Connect this process; return whether the connection is ours to end."""
    global _connections
    import ray

    with _lock:
        if ray.is_initialized():
            _connections += 1 if _connections else 0
            return _connections > 0
        own: dict[str, Any] = {}
        if address is None:
            own = {"num_cpus": workers, "include_dashboard": False}
        try:
            with _quiet_start():
                ray.init(
                    # "local" even where RAY_ADDRESS names a cluster: the config says where
                    address=address or "local",
                    logging_level=logging.ERROR,
                    log_to_driver=False,  # it would print to stdout, where results go
                    **own,
                )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ConfigError(
                f"cannot use the Ray cluster at {address or 'this machine'}: {error}",
                key="executor.address",
            ) from error
        _connections = 1
        return True


def _disconnect() -> None:
    global _connections
    import ray

    with _lock:
        _connections -= 1
        if not _connections:
            ray.shutdown()


def _cpus() -> int:
    import ray

    known: Any = ray  # its types leave this one out
    return int(known.cluster_resources().get("CPU", 1))


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Have a cluster that is made here not report to its makers, unless a person wants it to."""
    name = "RAY_USAGE_STATS_ENABLED"
    if name in os.environ:
        yield
        return
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ.pop(name, None)


def _spell(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
