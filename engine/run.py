"""One run in the hands of an application: start it, read its events, stop it, take its result."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Self, TypeVar

import anyio
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup

from .agent import Agent
from .batch import Batcher
from .budget import Budget, Caps
from .bus import EventBus, EventStream
from .calls import ModelCalls, Retry
from .checkpoint import RunRecord
from .clock import SystemClock
from .critic import Critic
from .errors import BudgetExhausted, FuncforgeError, Interrupted, ours_in
from .evaluation import Evaluator
from .events import LimitChanged, RunFinished, RunStarted
from .limiter import Limiter, LimitView, RateLimits
from .messages import Reply, Request
from .ports import (
    AgentLimits,
    CacheStore,
    Clock,
    Environment,
    EventSink,
    Executor,
    Model,
    Sandbox,
    Scorer,
    Store,
    Tuner,
)
from .rollout import Rollout
from .scheduler import Gate, Scheduler
from .tuning import TuningPatience
from .usage import NO_USAGE, Usage
from .workspace import AgentSettings

Result = TypeVar("Result")
CANCELLED_S = 5.0  # what a cancelled run gets for telling its sinks


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The concrete objects that a run is made of. Wiring builds them; the engine uses them."""

    model: Model
    store: Store
    sandbox: Sandbox
    scorer: Scorer
    agent: Agent
    agent_settings: AgentSettings
    agent_limits: AgentLimits = field(default_factory=AgentLimits)
    caps: Caps = field(default_factory=Caps)
    retry: Retry = field(default_factory=Retry)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    account_limits: Mapping[str, RateLimits] = field(default_factory=dict)
    in_flight: int = 64
    episode_timeout_s: float = 1800.0
    max_failed_share: float = 0.1
    cache: CacheStore | None = None
    environment: Environment | None = None
    environment_timeout_s: float = 30.0
    executor: Callable[[ModelCalls], Executor] | None = None  # None: this process runs episodes
    tuner: Tuner | None = None  # who fine-tunes models, where the optimizer wants it
    tuning_patience: TuningPatience | None = None
    critic: Critic | None = None  # beside the scorer, for an optimizer that lets it compare
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the work of a run is given."""

    evaluator: Evaluator
    calls: ModelCalls
    bus: EventBus
    store: Store
    sandbox: Sandbox
    run: Run[Any]  # for work that begins other runs as parts of it
    branch: Callable[[Gate | None], Evaluator]  # one beside: what stops it stops no other
    stop: Callable[[FuncforgeError], None]  # send nothing more out, on no branch
    tuner: Tuner | None = None
    tuning_patience: TuningPatience | None = None  # None: the usual one
    critic: Critic | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Result]):
    """How a run ended. `value` is set when it is done, `error` when something stopped it."""

    run_id: str
    status: str  # done, failed, paused, interrupted
    stopped_by: str
    message: str
    value: Result | None
    error: FuncforgeError | None
    usage: Usage
    seconds: float
    saved: Usage = NO_USAGE  # what the cache made free


@dataclass(frozen=True, kw_only=True)
class Work(Generic[Result]):
    """What a run does, and how to say why it stopped."""

    do: Callable[[Desk], Awaitable[Result]]
    stopped_by: Callable[[Result], str]


class Run(AsyncContextManagerMixin, Generic[Result]):
    """A training, an evaluation or a comparison.

        async with open_training(config) as run:
            async for event in run.run():
                ...
            outcome = run.outcome

    Leaving the block early cancels the run; what was paid for stays in the store, and the run can
    be resumed. A run owns no global state: several go on side by side in one event loop.

    Args:
        resumed: Whether the store already knows the run.
        offline: A replay: no provider is asked.
        part_of: The run that begins this one for itself: both share the budget and the limits of
            that one, and stop together.
        parts_before: Ids of the runs that this one may have begun so: what they used counts.
    """

    def __init__(
        self,
        record: RunRecord,
        parts: Parts,
        work: Work[Result],
        *,
        sinks: Sequence[EventSink] = (),
        screens: Sequence[EventSink] = (),
        resumed: bool = False,
        offline: bool = False,
        part_of: Run[Any] | None = None,
        parts_before: Sequence[str] = (),
    ) -> None:
        self.record = record
        self.outcome: Outcome[Result] | None = None
        self._parts = parts
        self._work = work
        self._sinks = tuple(sinks)
        self._screens = tuple(screens)
        self._resumed = resumed
        self._offline = offline
        self._schedulers: list[Scheduler] = []
        self._stopping: FuncforgeError | None = None
        self._whole = part_of
        self._begun: list[Run[Any]] = []  # as parts of this one
        self._parts_before = tuple(parts_before)
        self._budget: Budget | None = None
        self._began_s = self._earlier_s = 0.0
        self._limiter: Limiter | None = None
        self._calls: list[ModelCalls] = []
        self._group: TaskGroup | None = None
        self._streams: list[EventStream] = []
        if part_of is not None:
            self._stopping = part_of.take_part(self)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.id

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield self
            finally:
                self._group = None
                group.cancel_scope.cancel()
                for stream in self._streams:
                    stream.close()

    @property
    def parts(self) -> Parts:
        """What it is made of, for a run that is a part of it."""
        return self._parts

    @property
    def common(self) -> tuple[Budget, Limiter]:
        """The budget and the limits, for a run that is a part of it.

        Raises:
            RuntimeError: The run has not begun.
        """
        if self._budget is None or self._limiter is None:
            raise RuntimeError("a part is begun once the run has begun")
        return self._budget, self._limiter

    def take_part(self, part: Run[Any]) -> FuncforgeError | None:
        """Stop a part with this run from now on; return why it is stopping already, if so."""
        self._begun.append(part)
        return self._stopping

    def run(self) -> EventStream:
        """Start the run and return its events, to be iterated over until it has ended.

        Raises:
            RuntimeError: Outside of `async with`.
        """
        if self._group is None:
            raise RuntimeError("a run is started inside `async with`")
        stream = EventStream()
        self._streams.append(stream)
        self._group.start_soon(self._run_to_stream, stream)
        return stream

    async def _run_to_stream(self, stream: EventStream) -> None:
        try:
            await self.wait(stream)
        finally:
            stream.end()

    def stop(self) -> None:
        """Drain: send nothing more out, finish what is in flight, checkpoint, end."""
        self.stop_for(Interrupted("the run was asked to stop"))

    def stop_for(self, reason: FuncforgeError) -> None:
        """Drain, parts included; whoever has more to send is told the reason."""
        self._stopping = self._stopping or reason
        for scheduler in self._schedulers:
            scheduler.stop(reason)
        for part in self._begun:
            part.stop_for(reason)

    def limits(self) -> tuple[LimitView, ...]:
        """Return where the adaptive limits stand, for people."""
        return self._limiter.views() if self._limiter else ()

    @property
    def calls(self) -> ModelCalls:
        """The run's way to models, for a part that asks more than once.

        Raises:
            RuntimeError: The run has not begun.
        """
        if not self._calls:
            raise RuntimeError("models can be asked once the run has begun")
        return self._calls[0]

    async def ask(self, scope: str, request: Request) -> Reply:
        """Ask a model within the run's budget and limits, for a part that no episode owns.

        Raises:
            RuntimeError: The run has not begun.
            ModelError, BudgetExhausted: As for any call.
        """
        return await self.calls.scope(scope).complete(request)

    async def wait(self, *sinks: EventSink) -> Outcome[Result]:
        """Run to the end, publishing to `sinks` too, and return how it ended.

        Errors that stop a run are in the outcome; only defects are raised.
        """
        await self._parts.store.begin(self.record)
        try:
            return await self._wait(sinks)
        finally:
            self._parts.store.release(self.id)

    async def _wait(self, sinks: Sequence[EventSink]) -> Outcome[Result]:
        parts = self._parts
        budget = await self._open_budget()
        self._began_s = parts.clock.monotonic_s()
        self._earlier_s = await parts.store.seconds(self.id) if self._resumed else 0.0
        batcher = Batcher()
        bus = EventBus(
            self.id,
            lossless=(parts.store, batcher, *self._sinks, *sinks),
            lossy=self._screens,
            clock=parts.clock,
        )
        value: Result | None = None
        error: BaseException | None = None
        try:
            async with bus:
                await bus.publish(
                    RunStarted(
                        run_id=self.id,
                        kind=self.record.kind,
                        name=self.record.name,
                        resumed=self._resumed,
                        sandbox=self.record.sandbox,
                    )
                )
                try:
                    value = await self._work.do(self._desk(bus, batcher, budget))
                except BaseException as raised:
                    error = raised
                    raise
                finally:
                    # shielded: a cancelled run still says that it was interrupted. One that was
                    # not waits for its slowest sink, as it did all along
                    cancelled = error is not None and not isinstance(error, Exception)
                    with anyio.move_on_after(CANCELLED_S if cancelled else None, shield=cancelled):
                        self.outcome = await self._conclude(bus, budget, value, error)
        except BaseExceptionGroup as group:
            ours = ours_in(group)
            if ours is None or self.outcome is None:
                raise
        except FuncforgeError:
            if self.outcome is None:
                raise
        assert self.outcome is not None
        return self.outcome

    async def _open_budget(self) -> Budget:
        """Return the budget: its own, less what was used before, or that of the whole."""
        if self._whole is not None:
            self._budget, self._limiter = self._whole.common
            return self._budget
        store, spent, seconds = self._parts.store, NO_USAGE, 0.0
        for run_id in (self.id, *self._parts_before) if self._resumed else ():
            spent += await store.used(run_id) + await store.lost(run_id)
            seconds = max(seconds, await store.seconds(run_id))  # parts go on within it
        self._budget = Budget(
            self._parts.caps, spent=spent, seconds=seconds, clock=self._parts.clock
        )
        return self._budget

    @property
    def _seconds(self) -> float:
        """Wall clock of this run alone, over all its stops."""
        return self._earlier_s + self._parts.clock.monotonic_s() - self._began_s

    def _desk(self, bus: EventBus, batcher: Batcher, budget: Budget) -> Desk:
        parts = self._parts

        async def limit_changed(view: LimitView) -> None:
            await bus.publish(
                LimitChanged(
                    run_id=self.id,
                    account=view.account,
                    in_flight_limit=view.limit,
                    reason=view.reason,
                )
            )

        if self._limiter is None:  # the whole's, for a part of it
            self._limiter = Limiter(
                parts.rate_limits, parts.account_limits, clock=parts.clock, changed=limit_changed
            )

        def branch(gate: Gate | None = None) -> Evaluator:
            return self._branch(bus, batcher, budget, gate)

        return Desk(
            run=self,
            evaluator=branch(),
            calls=self._calls[0],
            bus=bus,
            store=parts.store,
            sandbox=parts.sandbox,
            branch=branch,
            stop=self.stop_for,
            tuner=parts.tuner,
            tuning_patience=parts.tuning_patience,
            critic=parts.critic,
        )

    def _branch(
        self, bus: EventBus, batcher: Batcher, budget: Budget, gate: Gate | None
    ) -> Evaluator:
        """Return an evaluator with a scheduler and a circuit of its own, within the one budget."""
        parts = self._parts
        assert self._limiter is not None
        calls = ModelCalls(
            parts.model,
            parts.store,
            run_id=self.id,
            budget=budget,
            limiter=self._limiter,
            publish=bus.publish,
            retry=parts.retry,
            clock=parts.clock,
            resumed=self._resumed,
            cache=parts.cache,
            offline=self._offline,
        )
        scheduler = Scheduler(
            (parts.executor or partial(_rollout, parts, self.record.seed))(calls),
            bus,
            in_flight=parts.in_flight,
            record=parts.store if self._resumed and not self._offline else None,
            gate=gate,
        )
        if self._stopping is not None:
            scheduler.stop(self._stopping)
        self._calls.append(calls)
        self._schedulers.append(scheduler)
        return Evaluator(
            scheduler, bus, batcher, calls.circuit, max_failed_share=parts.max_failed_share
        )

    async def _conclude(
        self,
        bus: EventBus,
        budget: Budget,
        value: Result | None,
        raised: BaseException | None,
    ) -> Outcome[Result]:
        try:
            await bus.flush()
            usage = await self._parts.store.used(self.id)
            outcome = self._outcome(value, raised, usage, self._seconds)
            await bus.publish(
                RunFinished(
                    run_id=self.id,
                    status=outcome.status,
                    stopped_by=outcome.stopped_by,
                    message=outcome.message,
                    usage=usage,
                    seconds=outcome.seconds,
                )
            )
            await bus.flush()
        except FuncforgeError as broken:
            # a sink that the run depends on: whatever else happened, this is what to repair
            return self._outcome(None, broken, budget.spent, self._seconds)
        return outcome

    def _outcome(
        self, value: Result | None, raised: BaseException | None, usage: Usage, seconds: float
    ) -> Outcome[Result]:
        error = ours_in(raised) if raised is not None else None
        status, stopped_by = _status(raised, error)
        if value is not None:
            stopped_by = self._work.stopped_by(value)
        return Outcome(
            run_id=self.id,
            status=status,
            stopped_by=stopped_by,
            message="" if raised is None else str(error or raised or type(raised).__name__),
            value=value,
            error=error,
            usage=usage,
            seconds=seconds,
            saved=sum((calls.saved for calls in self._calls), NO_USAGE),
        )


def _status(raised: BaseException | None, error: FuncforgeError | None) -> tuple[str, str]:
    """Return (status, stopped_by)."""
    match error:
        case BudgetExhausted():
            return "paused", "budget"
        case Interrupted():
            return "interrupted", "interrupt"
        case FuncforgeError():
            return "failed", "error"
    if raised is None:
        return "done", ""
    if isinstance(raised, Exception):
        return "failed", "error"
    return "interrupted", "interrupt"


def _rollout(parts: Parts, seed: int, calls: ModelCalls) -> Rollout:
    return Rollout(
        agent=parts.agent,
        settings=parts.agent_settings,
        limits=parts.agent_limits,
        scorer=parts.scorer,
        sandbox=parts.sandbox,
        calls=calls,
        timeout_s=parts.episode_timeout_s,
        environment=parts.environment,
        environment_timeout_s=parts.environment_timeout_s,
        seed=seed,
        clock=parts.clock,
    )
