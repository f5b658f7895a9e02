"""What the engine needs from outside, as Protocols. `adapters/` and `storage/` implement them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .checkpoint import CallRecord, Checkpoint, RunRecord
from .episode import CallOutcome, Episode, Job, Score
from .events import Event
from .functions import Function
from .messages import Reply, Request, Tool
from .parameters import Parameters
from .tasks import Task
from .tuning_jobs import TuningFacts, TuningJob, TuningPlan
from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known about a model before it is asked. Prices are whole picodollars a token."""

    context_tokens: int
    max_output_tokens: int
    prompt_pusd: int | None = None  # None: unpriced; a USD cap is refused
    completion_pusd: int | None = None
    account: str = ""  # provider and credentials that share one rate limit

    def worst_case(self, request: Request) -> Usage:
        """Return the most that a request can use."""
        prompt = min(request.token_bound(), max(self.context_tokens, 1))
        return Usage(
            calls=1,
            prompt_tokens=prompt,
            completion_tokens=request.max_tokens,
            cost_pusd=prompt * (self.prompt_pusd or 0)
            + request.max_tokens * (self.completion_pusd or 0),
        )


class Model(Protocol):
    """Chat models behind one door.

    Rules: `complete` asks once, without retries of its own, and raises only `ModelError`s, with
    cancellation passing through. Usage is always filled in. `describe` needs no network.
    """

    def describe(self, model: str) -> ModelFacts:
        """Return what is known about `model`.

        Raises:
            ModelConfigError: The name resolves to no provider, or its key is missing.
        """
        ...

    async def complete(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            ModelError: No usable reply; the subclass says whether to try again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The result of running code in the sandbox. Everything in it is untrusted, and bounded."""

    outcome: CallOutcome
    value: Any = None  # JSON, on outcome "value"
    error: str = ""  # for a model to read: type, message and the code's own frames
    stdout: str = ""
    elapsed_s: float = 0.0


class Interpreter(Protocol):
    """A Python interpreter in the sandbox whose variables live as long as it does."""

    async def run(self, code: str) -> CallResult:
        """Run a block. The value of a last expression counts as output. Never raises for code."""
        ...


class Sandbox(Protocol):
    """Runs code written by a model: another process, no network, no secrets, bounded.

    Rules: no call sees another; a broken sandbox is outcome "system_failure", never "exception";
    nothing that code does raises here. Cancelling a call ends its processes.
    """

    async def check(self, function: Function) -> CallResult:
        """Load a function without calling it: does it execute, define its name, take its schema?

        The outcome is "value" if it loads, "refused" with the reason for an unknown package.
        """
        ...

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        """Call a function with keyword arguments."""
        ...

    def interpreter(
        self, *, functions: Sequence[Function] = (), files: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Interpreter]:
        """Open an interpreter for one episode. Starts a process at the first block, not before.

        Args:
            functions: Defined in the interpreter by name before the first block.
            files: Name in the scratch -> path here; copied in, read-only to nobody else.
        """
        ...


class EnvironmentSession(Protocol):
    """The world of one episode: tools with effects on a state that nobody else sees.

    Rules: the state and every result depend only on the task, the seed and the calls in their
    order, never on time or chance: a resumed or replayed episode makes the same calls again. Calls
    come one at a time. It is trusted code and runs in our process: one that never awaits cannot
    be stopped.
    """

    def tools(self) -> tuple[Tool, ...]:
        """Return the tools as the model sees them, the same all through the episode."""
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> CallResult:
        """Call a tool with arguments that keep to its schema.

        What the agent did wrong is a result: outcome "refused" or "exception", for its model to
        read. Raising, or outcome "system_failure", says that the environment itself is broken: the
        episode fails and is not scored.
        """
        ...

    def snapshot(self) -> Any:
        """Return the state as it is now: JSON, and short, as it is kept with the episode.

        Scorers read it once the episode has ended.
        """
        ...


class Environment(Protocol):
    """Opens a world for each attempt at an episode, reset to its beginning."""

    def open(self, task: Task, *, seed: int) -> AbstractAsyncContextManager[EnvironmentSession]:
        """Open the world of one episode.

        Args:
            task: Without its target: an agent never sees the answer, neither do its tools.
            seed: The same for every episode of a task and repeat, whichever version plays it.
        """
        ...


class Scorer(Protocol):
    """Judges a finished episode (its answer, messages and calls) against its task.

    Raising means a failed system: the episode fails with the traceback, it is not scored 0.
    """

    async def __call__(self, task: Task, episode: Episode) -> Score: ...


class EventSink(Protocol):
    """Takes every event in order.

    A lossless sink may make the publisher wait; a lossy one (a screen) must return at once.
    """

    async def handle(self, event: Event) -> None: ...


class CallStore(Protocol):
    """Remembers answered model calls. What was paid for is committed before it is used."""

    async def find_call(
        self, run_id: str, scope: str, index: int, request_hash: str
    ) -> CallRecord | None:
        """Return the recorded call at this place of the run, if the same was asked there."""
        ...

    async def offered(self, run_id: str, scope: str) -> tuple[Tool, ...]:
        """Return the tools of the first recorded call of a scope; none if there is no call."""
        ...

    async def commit_call(self, record: CallRecord) -> None:
        """Return when the record is durable. Safe under cancellation: whole or not at all."""
        ...

    async def used(self, run_id: str) -> Usage:
        """Return what the recorded calls of a run used in all."""
        ...

    def lose(self, run_id: str, usage: Usage) -> None:
        """Count what an attempt used, or may have, that gave no reply.

        Does not wait, so that a cancelled call can count itself; durable soon after.
        """
        ...

    async def lost(self, run_id: str) -> Usage:
        """Return what the lost attempts of a run used in all; with `used` it is what was spent."""
        ...


class CacheStore(Protocol):
    """Finds replies that another run paid for."""

    async def find_cached(self, request_hash: str, repeat: int) -> CallRecord | None:
        """Return any run's record of the same request in the same repeat."""
        ...


class RunStore(Protocol):
    """Keeps runs and where they stand. Everything else of a run arrives as events.

    `save_checkpoint` returns when it and every event handled before it are durable.
    """

    async def begin(self, run: RunRecord) -> None:
        """Store a new run, or take over a stopped one, for this process.

        Raises:
            RunOwned: A living process works on it.
        """
        ...

    def release(self, run_id: str) -> None:
        """Give a run up; one that has not said how it ended is marked interrupted.

        Does not wait, so that a cancelled run can call it. May be called twice.
        """
        ...

    async def load_run(self, run_id: str) -> RunRecord | None:
        """Return a run as it was last begun, with its status now."""
        ...

    async def seconds(self, run_id: str) -> float:
        """Return how long a run was at work, over all its stops; 0 for an unknown run."""
        ...

    async def save_checkpoint(self, run_id: str, checkpoint: Checkpoint) -> None: ...

    async def load_checkpoint(self, run_id: str) -> Checkpoint | None: ...

    async def find_episode(self, run_id: str, episode_id: str) -> Episode | None:
        """Return a finished *scored* episode of this run, if there is one."""
        ...

    async def load_parameters(self, version: str) -> Parameters | None: ...

    def episodes(self, run_id: str, evaluation: str) -> AsyncIterator[Episode]:
        """Stream the episodes of one evaluation by (task id, repeat)."""
        ...


class Store(RunStore, CallStore, CacheStore, EventSink, Protocol):
    """What one run writes to and restores from. SQLite and memory behave the same."""


class Tuner(Protocol):
    """Fine-tunes a model: a provider's service, or this machine.

    Rules: a job outlives its tuner where it can, and is found again by its id; polling asks once,
    without retries of its own. All calls raise TransientModelError where asking again may help.
    """

    def describe(self, base: str) -> TuningFacts:
        """Return what is known of a base model. Needs no network.

        Raises:
            TuningFailed: It cannot be fine-tuned here; says what can.
            ModelConfigError: The name resolves to no provider, or its key is missing.
        """
        ...

    async def start(self, plan: TuningPlan) -> str:
        """Submit a job and return its id. One of the same name that still goes on is taken over.

        Raises:
            TuningFailed, ModelError: Nothing was submitted.
        """
        ...

    async def poll(self, job_id: str) -> TuningJob:
        """Return where a job stands.

        Raises:
            TuningFailed: There is no such job any more.
            ModelError: It could not be asked.
        """
        ...

    async def cancel(self, job_id: str) -> None:
        """End a job. One that has ended, or is gone, stays as it is."""
        ...


class Executor(Protocol):
    """Runs episodes: in this loop, in worker processes, on a cluster.

    Rules: what goes wrong inside an episode is its `failure`; only what ends the run is raised:
    BudgetExhausted, StoreError, ReplayDiffers, and WorkersLost where there are workers. Cancelling
    ends the episode. Wherever it runs, a model's reply is committed to the run's one journal, and
    its cost settled in the run's one budget, before the agent sees it.
    """

    async def execute(self, job: Job, task: Task, parameters: Parameters) -> Episode: ...


class Clock(Protocol):
    """Time, injected so that tests and simulations own it. Waiting is the event loop's."""

    def monotonic_s(self) -> float: ...

    def unix_s(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLimits:
    """Bounds of one episode. Reaching one is a task outcome and scored."""

    turns: int = 12  # model calls
    tokens: int = 200_000  # prompt and completion, over all turns
    reply_tokens: int = 2_048  # the longest single reply
    repetitions: int = 3  # the same reply this often in a row ends the episode


@dataclass(slots=True, kw_only=True)
class Answer:
    """What an agent returns."""

    text: str | None  # None: no answer
    end: str = "answered"  # answered, turns, tokens, no_answer, repetition
    notes: Mapping[str, Any] = field(default_factory=dict)
