"""Opens runs: builds them of their parts and a store, and checks that they may go on."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from ..engine.budget import Caps
from ..engine.checkpoint import RunKind, RunRecord
from ..engine.comparison import Compared, Comparing
from ..engine.errors import ReplayDiffers, ours_in
from ..engine.evaluation import Evaluation
from ..engine.messages import Reply, Request
from ..engine.parameters import Parameters
from ..engine.ports import Model, ModelFacts, Sandbox
from ..engine.run import Parts, Run, Work
from ..engine.scope import CallScope
from ..engine.tasks import Splits
from ..engine.trainer import Trained
from ..engine.training import Scoring, Training
from .config import Config
from .opening import Opening
from .parts import (
    agent_limits,
    agent_settings,
    environment_timeout_s,
    evaluated,
    initial_parameters,
    load_tasks,
    make_acceptance,
    make_agent,
    make_critic,
    make_environment,
    make_optimizer,
    make_scorer,
    sandbox_settings,
    task_hashes,
    training_settings,
    with_critic,
)
from .providers import check_models, model_settings, needs_litellm, rate_limits, retry_settings
from .resuming import check_new, check_resumable

if TYPE_CHECKING:
    from .models.settings import ModelSettings

Result = TypeVar("Result")
CONTEXT_TOKENS = 32_768  # of a model that is not there to be asked
NOWHERE = "http://127.0.0.1:9"  # the discard port


def new_run_id() -> str:
    """Return an id that sorts by time and is short enough to type."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


@asynccontextmanager
async def open_training(
    config: Config, opening: Opening | None = None
) -> AsyncGenerator[Run[Trained]]:
    """Open a training.

    Raises:
        ConfigError: A file, a key, a package or a model is wrong or missing.
        SandboxUnavailable: No sandbox works on this machine.
        StoreError: The database cannot be used.
    """
    async with _reading(config) as splits:
        if not config.training.test:
            splits = replace(splits, test=None)
        training = Training(
            settings=training_settings(config),
            splits=splits,
            optimizer=make_optimizer(config),
            acceptance=make_acceptance(config),
            initial=initial_parameters(config),
        )
        async with _open(config, "train", splits, training.work(), opening or Opening()) as run:
            yield run


@asynccontextmanager
async def open_evaluation(
    config: Config, parameters: Parameters | None = None, opening: Opening | None = None
) -> AsyncGenerator[Run[Evaluation]]:
    """Open an evaluation of parameters on the config's test tasks, or else its only ones.

    Raises:
        ConfigError, SandboxUnavailable, StoreError: As `open_training`.
    """
    async with _reading(config) as splits:
        scoring = Scoring(
            tasks=evaluated(splits),
            parameters=parameters or initial_parameters(config),
            repeats=config.training.repeats,
        )
        async with _open(config, "evaluate", splits, scoring.work(), opening or Opening()) as run:
            yield run


@asynccontextmanager
async def open_comparison(
    config: Config, opening: Opening | None = None
) -> AsyncGenerator[Run[Compared]]:
    """Open a comparison of the config's arms on its test tasks, or else its only ones.

    Raises:
        ConfigError, SandboxUnavailable, StoreError: As `open_training`.
    """
    from .arms import check_enough, make_arm, resolve_arms
    from .lessons import lessons

    config = resolve_arms(config)
    assert config.compare is not None
    async with _reading(config) as splits:
        tasks = evaluated(splits)
        check_enough(config, len(tasks))
        comparing = Comparing(
            tasks=tasks,
            arms=tuple(make_arm(config, arm, tasks) for arm in config.compare.all_arms()),
            repeats=config.compare.repeats,
            lessons=lessons(config, splits),
        )
        async with _open(config, "compare", splits, comparing.work(), opening or Opening()) as run:
            yield run


@asynccontextmanager
async def _open(
    config: Config, kind: RunKind, splits: Splits, work: Work[Result], opening: Opening
) -> AsyncGenerator[Run[Result]]:
    from .lessons import lesson_ids

    async with AsyncExitStack() as stack:
        judge = _Judge()
        parts = await _open_parts(config, stack, opening, judge)
        if opening.offline:
            # the record knows nothing of caps: what was paid for once is not counted again
            parts = replace(parts, model=RecordOnly(config), caps=Caps(), cache=None)
        sandbox = getattr(parts.sandbox, "backend", config.sandbox.backend)
        record = RunRecord(
            id=opening.run_id or new_run_id(),
            kind=kind,
            name=config.name,
            config=config.record(),
            seed=config.seed,
            task_hashes=task_hashes(splits),
            created_at_unix_s=parts.clock.unix_s(),
            sandbox=sandbox,
            part_of=opening.part_of.id if opening.part_of else "",
        )
        if not opening.offline:
            check_models(config, parts)
            stored = await parts.store.load_run(record.id)
            (check_resumable if opening.resume else check_new)(stored, record)
        run = Run(
            record,
            parts,
            work,
            sinks=opening.sinks,
            screens=opening.screens,
            resumed=opening.resume,
            offline=opening.offline,
            part_of=opening.part_of,
            parts_before=lesson_ids(config, record.id),
        )
        judge.run = run
        async with run:
            yield run


@asynccontextmanager
async def _reading(config: Config) -> AsyncGenerator[Splits]:
    """Read the tasks in a thread; LiteLLM, which takes seconds, is imported in another meanwhile.

    The event loop goes on: a view is drawn at once.
    """
    from .models.loading import load_litellm

    async with _plain_errors(), anyio.create_task_group() as loading:
        if needs_litellm(config):
            loading.start_soon(anyio.to_thread.run_sync, load_litellm)
        yield await anyio.to_thread.run_sync(load_tasks, config)


@asynccontextmanager
async def _plain_errors() -> AsyncGenerator[None]:
    """Let an error of ours out as itself, not in the groups of the task groups it passed."""
    try:
        yield
    except BaseExceptionGroup as group:
        ours = ours_in(group)
        if ours is None:
            raise
        raise ours from group


class RecordOnly:
    """The model of a replay. It is never asked: the journal answers, or the replay differs.

    It knows each model's context window, as the optimizer's prompt depends on it, but needs no
    key: a base URL of one's own, which is never called, wants none.
    """

    def __init__(self, config: Config) -> None:
        from .models.litellm import LiteLLMModel

        known = model_settings(config)
        self._facts = LiteLLMModel(
            {
                model: replace(known.get(model) or _plain_settings(), base_url=NOWHERE)
                for model in config.models_used
            }
        )

    def describe(self, model: str) -> ModelFacts:
        """Return what is known about a model; of one in a folder, which may be gone, nothing."""
        if model.startswith("local/"):
            return ModelFacts(context_tokens=CONTEXT_TOKENS, max_output_tokens=CONTEXT_TOKENS)
        return self._facts.describe(model)

    async def complete(self, request: Request) -> Reply:
        """Refuse.

        Raises:
            ReplayDiffers: Always.
        """
        raise ReplayDiffers("a replay asks no provider")


def _plain_settings() -> ModelSettings:
    from .models.settings import ModelSettings

    return ModelSettings()


@dataclass(slots=True)
class _Judge:
    """Lets a scorer or a critic ask its model through the run, which is made after them."""

    run: Run[Any] | None = None

    async def __call__(self, scope: str, request: Request) -> Reply:
        assert self.run is not None
        return await self.run.ask(scope, request)

    def scope(self, name: str, *, repeat: int = 0) -> CallScope:
        """Return a numbered series of the run's calls."""
        assert self.run is not None
        return self.run.calls.scope(name, repeat=repeat)

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model."""
        assert self.run is not None
        return self.run.calls.facts(model)


async def _open_parts(
    config: Config, stack: AsyncExitStack, opening: Opening, judge: _Judge
) -> Parts:
    from ..storage.database import open_store
    from .finetuning import open_tuner, tuning_patience, with_local_models
    from .models.litellm import LiteLLMModel
    from .models.settings import ModelSettings
    from .sandboxes.opening import open_sandbox

    whole = opening.part_of.parts if opening.part_of else None
    store = whole.store if whole else opening.store
    if store is None:
        store = await stack.enter_async_context(open_store(config.store.path))
    default = ModelSettings(timeout_s=config.limits.call_timeout_s)
    model: Model = (
        whole.model
        if whole
        else await stack.enter_async_context(LiteLLMModel(model_settings(config), default=default))
    )
    crew = None
    if config.executor.kind != "local" and not opening.offline:  # a replay waits for nobody
        from .executors.opening import open_workers

        crew = await stack.enter_async_context(open_workers(config))
    sandbox: Sandbox = (
        whole.sandbox
        if whole
        else await stack.enter_async_context(open_sandbox(sandbox_settings(config)))
    )
    if isinstance(model, LiteLLMModel) and needs_litellm(config):
        await model.load()
    if whole is None:
        model = await with_local_models(config, model, stack)
    if crew is not None:
        await crew.complete()
    return Parts(
        model=model,
        tuner=await open_tuner(config, stack),
        tuning_patience=tuning_patience(config),
        store=store,
        sandbox=sandbox,
        scorer=with_critic(
            config, await stack.enter_async_context(make_scorer(config, judge)), judge
        ),
        critic=make_critic(config.critic, judge) if config.critic else None,
        agent=make_agent(config),
        agent_settings=agent_settings(config),
        agent_limits=agent_limits(config),
        caps=Caps(**config.budget.model_dump()),
        retry=retry_settings(config),
        rate_limits=rate_limits(config, None),
        account_limits={
            account: rate_limits(config, limits)
            for account, limits in config.limits.accounts.items()
        },
        in_flight=config.limits.in_flight,
        episode_timeout_s=config.limits.episode_timeout_s,
        max_failed_share=config.training.max_failed_share,
        cache=store if config.store.cache else None,
        environment=make_environment(config),
        environment_timeout_s=environment_timeout_s(config),
        executor=crew.executor if crew is not None else None,
    )
