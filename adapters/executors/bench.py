"""What a worker works with, and how it is told to build it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ...engine.agent import Agent
from ...engine.messages import Reply, Request
from ...engine.ports import AgentLimits, Environment, Model, ModelFacts, Sandbox, Scorer
from ...engine.rollout import Rollout
from ...engine.scope import Answering, CallScope
from ...engine.workspace import AgentSettings


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All that is needed to run episodes, but for the way to a reply that counts."""

    agent: Agent
    settings: AgentSettings
    limits: AgentLimits
    scorer: Scorer
    sandbox: Sandbox
    model: Model
    timeout_s: float
    environment: Environment | None = None
    environment_timeout_s: float = 30.0
    seed: int = 0

    def rollout(self, calls: Answering) -> Rollout:
        """Return what runs episodes whose calls are answered by `calls`."""
        return Rollout(
            agent=self.agent,
            settings=self.settings,
            limits=self.limits,
            scorer=self.scorer,
            sandbox=self.sandbox,
            calls=calls,
            timeout_s=self.timeout_s,
            environment=self.environment,
            environment_timeout_s=self.environment_timeout_s,
            seed=self.seed,
        )


class Desk(Protocol):
    """What a scorer or critic asks its model through: the run's journal, limiter and budget."""

    async def __call__(self, scope: str, request: Request) -> Reply:
        """Ask a model under a scope of the journal."""
        ...

    def scope(self, name: str, *, repeat: int = 0) -> CallScope:
        """Return a numbered series of calls."""
        ...

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model."""
        ...


OpenBench = Callable[[Mapping[str, Any], Desk], AbstractAsyncContextManager[Bench]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a new worker is told: which function opens its bench, and with what."""

    opener: str  # `module:function`, an `OpenBench`
    given: Mapping[str, Any]  # plain values; never holds a secret

    def open(self, desk: Desk) -> AbstractAsyncContextManager[Bench]:
        """Import the opener and call it."""
        module, _, name = self.opener.partition(":")
        opener: OpenBench = getattr(importlib.import_module(module), name)
        return opener(self.given, desk)

    def to_plain(self) -> tuple[Any, ...]:
        """Return what travels: also where this process finds its modules, the person's own too."""
        return (self.opener, dict(self.given), list(sys.path))

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> Setup:
        """Read what `to_plain` made, and look for modules where the other process does."""
        opener, given, paths = plain
        sys.path.extend(path for path in paths if path not in sys.path)
        return cls(opener=opener, given=given)
