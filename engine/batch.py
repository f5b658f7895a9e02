"""Gathers the episodes of one evaluation from the bus: one parameters version, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .episode import Episode
from .events import EpisodeFinished, Event


@dataclass(slots=True)
class Gathering:
    """An evaluation whose episodes are being collected."""

    evaluation: str
    parameters_version: str
    take: Callable[[Episode], None]
    strays: int = field(default=0)


class Batcher:
    """A lossless sink of the bus that hands each episode to the gathering it belongs to.

    Invariant 7: an episode of another parameters version is discarded and counted.
    """

    def __init__(self) -> None:
        self._open: dict[str, Gathering] = {}

    @contextmanager
    def gather(
        self, evaluation: str, parameters_version: str, take: Callable[[Episode], None]
    ) -> Generator[Gathering]:
        """Collect the episodes of one evaluation while the block lasts."""
        gathering = Gathering(evaluation, parameters_version, take)
        self._open[evaluation] = gathering
        try:
            yield gathering
        finally:
            del self._open[evaluation]

    async def handle(self, event: Event) -> None:
        """Take an episode into its batch."""
        if not isinstance(event, EpisodeFinished):
            return
        gathering = self._open.get(event.episode.job.evaluation)
        if gathering is None:
            return
        if event.episode.job.parameters_version != gathering.parameters_version:
            gathering.strays += 1
            return
        gathering.take(event.episode)
