"""Runs one episode from task to score, and fences it off from all the others."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace

from .agent import Agent
from .clock import SystemClock
from .deadline import Deadline
from .environment import World, environment_seed, open_world
from .episode import Episode, Failure, Job, Score
from .errors import (
    BudgetExhausted,
    CriticError,
    EnvironmentFailed,
    FuncforgeError,
    InvalidReply,
    ModelError,
    ReplayDiffers,
    SandboxError,
    ScorerError,
    StoreError,
)
from .parameters import Parameters
from .ports import AgentLimits, Answer, Clock, Environment, Sandbox, Scorer
from .scope import Answering, CallScope
from .tasks import Task
from .workspace import AgentSettings, EpisodeWorkspace

ATTEMPTS = 2  # a failed system gets a second chance before the episode counts as failed
_SHOWN_ERROR = 2_000  # characters of a foreign traceback that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """All that is needed to run an episode, the same for every episode of a run."""

    agent: Agent
    settings: AgentSettings
    limits: AgentLimits
    scorer: Scorer
    sandbox: Sandbox
    calls: Answering
    timeout_s: float = 1800.0  # per attempt at an episode; no episode can hang a run
    environment: Environment | None = None  # the world that its tasks are set in
    environment_timeout_s: float = 30.0  # per call of it
    seed: int = 0  # of the run; worlds are drawn from it
    clock: Clock = field(default_factory=SystemClock)

    async def execute(self, job: Job, task: Task, parameters: Parameters) -> Episode:
        """Run one episode; what goes wrong inside it becomes its failure.

        Raises:
            BudgetExhausted, StoreError, ReplayDiffers: These end the run, not the episode.
        """
        scope = CallScope(self.calls, job.episode_id, repeat=job.repeat)
        shown = replace(task, target=None)
        episode = await self._attempt(job, task, shown, parameters, scope)
        for _ in range(ATTEMPTS - 1):
            if episode.failure is None or not _may_pass(episode.failure):
                break
            scope.rewind()
            episode = await self._attempt(job, task, shown, parameters, scope)
        return episode

    async def _attempt(
        self, job: Job, task: Task, shown: Task, parameters: Parameters, scope: CallScope
    ) -> Episode:
        started_s = self.clock.monotonic_s()
        workspace = EpisodeWorkspace(
            shown,
            parameters,
            settings=self.settings,
            limits=self.limits,
            scope=scope,
            sandbox=self.sandbox,
            repeat=job.repeat,
        )
        episode: Episode | None = None
        try:
            with Deadline(self.timeout_s):
                async with workspace, self._world(job, shown) as world:
                    if world is not None:
                        workspace.furnish(world.tools())
                    answer = await self.agent(shown, workspace)
                    state = None if world is None else world.state()
                episode = self._episode(job, task, workspace, answer, scope)
                if state is not None:
                    episode = replace(episode, state=state)
                score = await self._score(task, episode)
        except Exception as error:  # the fence: one episode never takes another down
            ending = _run_ending(error)
            if ending is not None:
                raise ending from error
            if episode is None:
                no_answer = Answer(text=None, end="failed")
                episode = self._episode(job, task, workspace, no_answer, scope)
            failure = failure_of(error, self.timeout_s)
            elapsed_s = self.clock.monotonic_s() - started_s
            return replace(episode, failure=failure, end="failed", elapsed_s=elapsed_s)
        return replace(episode, score=score, elapsed_s=self.clock.monotonic_s() - started_s)

    def _world(self, job: Job, shown: Task) -> AbstractAsyncContextManager[World | None]:
        if self.environment is None:
            return nullcontext()
        return open_world(
            self.environment,
            shown,
            seed=environment_seed(self.seed, job.task_id, job.repeat),
            timeout_s=self.environment_timeout_s,
            clock=self.clock,
        )

    def _episode(
        self,
        job: Job,
        task: Task,
        workspace: EpisodeWorkspace,
        answer: Answer,
        scope: CallScope,
    ) -> Episode:
        return Episode(
            id=scope.name,
            run_id=self.calls.run_id,
            job=job,
            prompt=task.prompt,
            messages=workspace.messages,
            calls=tuple(workspace.calls),
            answer=answer.text,
            end=answer.end,
            usage=scope.usage,
            metadata=_stored(task.metadata),
        )

    async def _score(self, task: Task, episode: Episode) -> Score:
        try:
            score = await self.scorer(task, episode)
        except (FuncforgeError, TimeoutError):
            raise
        except Exception as error:
            raise ScorerError(f"the scorer raised {error!r:.500}\n{_trace(error)}") from error
        if not isinstance(score, Score) or not 0.0 <= score.value <= 1.0:
            raise ScorerError(f"the scorer returned {score!r}; a Score with 0 <= value <= 1 is due")
        return score


def _run_ending(error: BaseException) -> FuncforgeError | None:
    """Return the error that ends the run, also from inside an agent's own task group."""
    if isinstance(error, BudgetExhausted | StoreError | ReplayDiffers):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            ending = _run_ending(inner)
            if ending is not None:
                return ending
    return None


def failure_of(error: Exception, timeout_s: float) -> Failure:
    """Say what kind of system failure an exception is."""
    match error:
        case ModelError():
            return Failure(kind=error.kind, message=str(error))
        case SandboxError():
            return Failure(kind="sandbox", message=str(error))
        case CriticError():
            return Failure(kind="critic", message=str(error)[:_SHOWN_ERROR])
        case EnvironmentFailed():
            return Failure(kind="environment", message=str(error)[:_SHOWN_ERROR])
        case ScorerError() | InvalidReply():
            return Failure(kind="scorer", message=str(error)[:_SHOWN_ERROR])
        case TimeoutError():
            return Failure(kind="deadline", message=f"no answer within {timeout_s:g} s")
        case ExceptionGroup() if len(error.exceptions) == 1:
            return failure_of(error.exceptions[0], timeout_s)
        case _:
            return Failure(
                kind="agent", message=f"the agent raised {error!r:.500}\n{_trace(error)}"
            )


def _may_pass(failure: Failure) -> bool:
    """Whether another attempt can help: not where a person or the request must change."""
    return failure.kind in {
        "rate_limit",
        "overloaded",
        "timeout",
        "connection",
        "server_error",
        "invalid_reply",
        "sandbox",
        "environment",
    }


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-_SHOWN_ERROR:]


def _stored(metadata: Mapping[str, object]) -> dict[str, object]:
    """Keep what views group by; a task's whole row stays in its file."""
    return {
        key: value
        for key, value in metadata.items()
        if isinstance(value, str | int | float | bool) and len(str(value)) <= 200
    }
