"""Builds the concrete objects of a run from its config. The only module that knows them all."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from ..engine.acceptance import Acceptance
from ..engine.acceptances import policy
from ..engine.agent import Agent
from ..engine.budget import Caps
from ..engine.calls import Retry
from ..engine.checkpoint import RunKind, RunRecord
from ..engine.comparison import Compared, Comparing
from ..engine.errors import ConfigError, ReplayDiffers, ours_in
from ..engine.evaluation import Evaluation
from ..engine.limiter import RateLimits
from ..engine.messages import Reply, Request
from ..engine.optimizer import Optimizer
from ..engine.parameters import Parameters
from ..engine.ports import AgentLimits, Environment, EventSink, Model, ModelFacts, Scorer, Store
from ..engine.run import Parts, Run, Work
from ..engine.scope import CallScope
from ..engine.selection import SelectionSettings, make_strategy
from ..engine.signal import SignalScorer
from ..engine.stopping import Stopping
from ..engine.tasks import Split, Splits, TaskSet
from ..engine.trainer import Trained
from ..engine.training import Scoring, Training
from ..engine.training_settings import TrainingSettings
from ..engine.workspace import PYTHON, AgentSettings
from .config import AccountLimits, Config
from .config.sections import CriticConfig
from .resuming import check_new, check_resumable

if TYPE_CHECKING:
    from ..engine.critic import Critic
    from ..engine.critics.model import Desk
    from .models.settings import ModelSettings
    from .sandboxes.settings import SandboxSettings
    from .scorers.make import FencedScorer
    from .scorers.model_graded import Judge

Result = TypeVar("Result")
CONTEXT_TOKENS = 32_768  # of a model that is not there to be asked
NOWHERE = "http://127.0.0.1:9"  # the discard port
# policies that control a false acceptance
ALPHA_POLICIES = frozenset({"fixed", "sequential", "climbing"})


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a run is opened, beside its config.

    `run_id` names a new run; with `resume` it names the stopped run that goes on.
    """

    run_id: str | None = None
    resume: bool = False
    offline: bool = False  # a replay: `store` holds every reply, no provider is asked
    sinks: Sequence[EventSink] = ()
    screens: Sequence[EventSink] = ()
    store: Store | None = None  # None: the SQLite file that the config names


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

    config = resolve_arms(config)
    assert config.compare is not None
    async with _reading(config) as splits:
        tasks = evaluated(splits)
        check_enough(config, len(tasks))
        comparing = Comparing(
            tasks=tasks,
            arms=tuple(make_arm(config, arm, tasks) for arm in config.compare.all_arms()),
            repeats=config.compare.repeats,
        )
        async with _open(config, "compare", splits, comparing.work(), opening or Opening()) as run:
            yield run


def evaluated(splits: Splits) -> TaskSet:
    """Return the tasks to score without learning.

    Raises:
        ConfigError: There are none.
    """
    tasks = splits.test or splits.validation or splits.train
    if tasks is None:
        raise ConfigError("there are no tasks to evaluate on", key="tasks")
    return tasks


@asynccontextmanager
async def _open(
    config: Config, kind: RunKind, splits: Splits, work: Work[Result], opening: Opening
) -> AsyncGenerator[Run[Result]]:
    async with AsyncExitStack() as stack:
        judge = _Judge()
        parts = await _open_parts(config, stack, opening.store, judge, offline=opening.offline)
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


def needs_litellm(config: Config) -> bool:
    """Whether any model of a run is asked through LiteLLM: the embedded ones are not."""
    from .models.resolution import is_embedded

    return not all(map(is_embedded, config.models_used))


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
    config: Config, stack: AsyncExitStack, store: Store | None, judge: _Judge, *, offline: bool
) -> Parts:
    from ..storage.database import open_store
    from .finetuning import open_tuner, tuning_patience, with_local_models
    from .models.litellm import LiteLLMModel
    from .models.settings import ModelSettings
    from .sandboxes.opening import open_sandbox

    if store is None:
        store = await stack.enter_async_context(open_store(config.store.path))
    default = ModelSettings(timeout_s=config.limits.call_timeout_s)
    model = await stack.enter_async_context(LiteLLMModel(model_settings(config), default=default))
    crew = None
    if config.executor.kind != "local" and not offline:  # a replay waits for nobody
        from .executors.opening import open_workers

        crew = await stack.enter_async_context(open_workers(config))
    sandbox = await stack.enter_async_context(open_sandbox(sandbox_settings(config)))
    if needs_litellm(config):
        await model.load()
    if crew is not None:
        await crew.complete()
    return Parts(
        model=await with_local_models(config, model, stack),
        tuner=await open_tuner(config, stack),
        tuning_patience=tuning_patience(config),
        store=store,
        sandbox=sandbox,
        scorer=with_critic(
            config, await stack.enter_async_context(make_scorer(config, judge)), judge
        ),
        agent=make_agent(config),
        agent_settings=agent_settings(config),
        agent_limits=agent_limits(config),
        caps=Caps(**config.budget.model_dump()),
        retry=retry_settings(config),
        rate_limits=_rate_limits(config, None),
        account_limits={
            account: _rate_limits(config, limits)
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


# -- the parts, one by one -------------------------------------------------------------------


def load_tasks(config: Config) -> Splits:
    """Open the task sets.

    Raises:
        TaskError, ConfigError: A file, a row or a split is wrong.
    """
    from .datasets.load import load_splits
    from .datasets.settings import SplitSettings, TaskSettings
    from .scorers.make import needs_target

    tasks = config.tasks
    names: tuple[Split, ...] = ("train", "validation", "test")
    wanted = {name: part for name in names if (part := getattr(tasks, name)) is not None}
    settings = TaskSettings(
        kind=tasks.kind,
        path=tasks.path,
        subset=tasks.subset,
        fields=tasks.fields,
        category=tasks.category,
        stratify=tasks.stratify,
        limit=tasks.limit,
        needs_target=needs_target(config.scorer.kind) and config.training.signal == "gold",
        splits={
            name: SplitSettings(
                count=part.count, path=part.path, split=part.split, categories=part.categories
            )
            for name, part in wanted.items()
        },
    )
    return load_splits(settings, config.seed)


def task_hashes(splits: Splits) -> dict[str, str]:
    """Return the content hash of each split that there is."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: tasks.hash for name, tasks in parts.items() if tasks is not None}


def training_settings(config: Config) -> TrainingSettings:
    """Return what the trainer is told."""
    training = config.training
    return TrainingSettings(
        optimizer_model=config.optimizer_model,
        seed=config.seed,
        stopping=Stopping(
            epochs=training.epochs,
            patience=training.patience if training.early_stop else None,
            steps=training.steps,
        ),
        batch_size=training.batch_size or None,
        repeats=training.repeats,
        samples=training.samples,
        test_repeats=training.test_repeats,
        accept_on=training.accept_on,
        feedback=config.optimizer.feedback,
        roll_back=training.roll_back,
        test_every_version=training.test_every_version,
    )


def make_acceptance(config: Config) -> Acceptance:
    """Build the acceptance policy.

    Raises:
        ConfigError: An option is unknown or wrong.
    """
    training = config.training
    options = dict(training.acceptance_options)
    if training.acceptance in ALPHA_POLICIES:
        options.setdefault("alpha", training.alpha)
    sampled = training.accept_on == "train" and training.batch_size > 0
    if training.acceptance == "climbing" and sampled:
        raise ConfigError(
            "climbing compares many steps on the same tasks: set training.accept_on ="
            ' "validation", or batch_size = 0',
            key="training.acceptance",
        )
    if training.acceptance == "sequential" and training.accept_on == "train":
        options.setdefault("sampled", training.batch_size > 0)
    return policy(training.acceptance, options)


def make_optimizer(config: Config) -> Optimizer:
    """Build the optimizer.

    Raises:
        ConfigError: A setting makes no sense, or the person's own one cannot be imported.
    """
    from ..engine.optimizers.craft import CraftOptimizer
    from ..engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings

    optimizer = config.optimizer
    if optimizer.kind == "demonstrations":
        return make_demonstration_optimizer(config)
    if optimizer.kind == "instructions":
        return make_instruction_optimizer(config)
    if optimizer.kind == "finetune":
        from .finetuning import make_finetune_optimizer

        return make_finetune_optimizer(config)
    if ":" in optimizer.kind:
        made: Optimizer = load_callable(optimizer.kind, key="optimizer.kind")()
        return made
    settings = FunctionOptimizerSettings(
        model=config.optimizer_model,
        actions_per_step=optimizer.actions_per_step,
        tries=optimizer.tries,
        prompt_tokens=optimizer.prompt_tokens,
        reply_tokens=optimizer.reply_tokens,
        temperature=optimizer.temperature,
        progressive=optimizer.progressive,
        prompt=optimizer.prompt.text if optimizer.prompt else None,
        frozen_tools=(PYTHON.name, *world_tools(config)),
        packages=importable(config.sandbox.packages),
    )
    return CraftOptimizer(settings) if optimizer.kind == "craft" else FunctionOptimizer(settings)


def make_demonstration_optimizer(config: Config) -> Optimizer:
    """Build the optimizer that selects trajectories as demonstrations."""
    from ..engine.optimizers.demonstrations import DemonstrationOptimizer

    return DemonstrationOptimizer(
        make_strategy(SelectionSettings(**config.selection.model_dump())),
        per_step=config.optimizer.demonstrations_per_step,
    )


def world_tools(config: Config) -> tuple[str, ...]:
    """Return the names of an environment's tools, where they are known before it is opened."""
    if config.environment is None or config.environment.kind != "api_bank":
        return ()
    from .environments.api_bank import ApiBank

    environment = make_environment(config)
    return environment.names if isinstance(environment, ApiBank) else ()


def make_instruction_optimizer(config: Config) -> Optimizer:
    """Build the optimizer that writes the agent's instructions anew."""
    from ..engine.optimizers.instructions import InstructionOptimizer, InstructionOptimizerSettings

    optimizer = config.optimizer
    return InstructionOptimizer(
        InstructionOptimizerSettings(
            model=config.optimizer_model,
            tries=optimizer.tries,
            prompt_tokens=optimizer.prompt_tokens,
            reply_tokens=optimizer.reply_tokens,
            temperature=optimizer.temperature,
            prompt=optimizer.prompt.text if optimizer.prompt else None,
        )
    )


def importable(packages: Sequence[str]) -> tuple[str, ...]:
    """Return the import names that a function may use: sympy cannot be had without mpmath."""
    return (*packages, "mpmath") if "sympy" in packages else tuple(packages)


def make_agent(config: Config) -> Agent:
    """Build the agent.

    Raises:
        ConfigError: The prompt lacks a placeholder, or the person's own agent cannot be imported.
    """
    from ..engine.agents.creator import CreatorAgent
    from ..engine.agents.react import ReactAgent
    from ..engine.agents.settings import DialogueSettings
    from ..engine.agents.tool_calling import ToolCallingAgent

    agent = config.agent
    if ":" in agent.kind:
        made: Agent = load_callable(agent.kind, key="agent.kind")
        return made
    settings = DialogueSettings(
        answer=agent.answer or "boxed",
        prompt=agent.prompt.text if agent.prompt else None,
        prompt_file=agent.prompt.path if agent.prompt else None,
        demonstrations=agent.demonstrations,
        demonstration_tokens=agent.demonstration_tokens,
        functions=agent.functions,
    )
    if agent.kind == "creator":
        return CreatorAgent(settings)
    return ReactAgent(settings) if agent.kind == "react" else ToolCallingAgent(settings)


def agent_settings(config: Config) -> AgentSettings:
    """Return how the agent's model is asked."""
    agent = config.agent
    return AgentSettings(
        model=agent.model, temperature=agent.temperature, seed=agent.seed, python=agent.python
    )


def agent_limits(config: Config) -> AgentLimits:
    """Return the bounds of one episode."""
    agent = config.agent
    return AgentLimits(turns=agent.turns, tokens=agent.tokens, reply_tokens=agent.reply_tokens)


def make_scorer(config: Config, judge: Judge | None = None) -> FencedScorer:
    """Build the scorer, to be used as `async with`.

    Raises:
        ConfigError: A setting does not suit it, or the person's own cannot be imported.
    """
    from .scorers.make import make_scorer as make
    from .scorers.settings import ScorerSettings

    scorer = config.scorer
    settings = ScorerSettings(
        kind=scorer.kind,
        tolerance=scorer.tolerance,
        relative_tolerance=scorer.relative_tolerance,
        model=scorer.model,
        rubric=scorer.rubric.text if scorer.rubric else None,
        rubric_file=scorer.rubric.path if scorer.rubric else None,
        timeout_s=scorer.timeout_s,
        options=scorer.options,
    )
    return make(settings, judge)


def environment_timeout_s(config: Config) -> float:
    """Return what a call of the environment may take."""
    return config.environment.timeout_s if config.environment else 30.0


def make_environment(config: Config) -> Environment | None:
    """Build the environment that the tasks are set in, if there is one.

    Raises:
        ConfigError: Its data are missing or wrong, or the person's own cannot be made.
    """
    settings = config.environment
    if settings is None:
        return None
    if settings.kind == "api_bank":
        from .environments.api_bank import api_bank

        shared = config.tasks.path if config.tasks.kind == "api_bank" else None
        return api_bank(settings.path or shared)
    options = dict(settings.options)
    if settings.path is not None:
        options["path"] = settings.path
    try:
        made = load_callable(settings.kind, key="environment.kind")(**options)
    except TypeError as error:
        raise ConfigError(
            f"{settings.kind} does not take the options: {error}", key="environment.options"
        ) from error
    if not callable(getattr(made, "open", None)):
        raise ConfigError(
            f"{settings.kind} gave {made!r:.200}, which has no method open(task, *, seed)",
            key="environment.kind",
        )
    environment: Environment = made
    return environment


def with_critic(config: Config, gold: Scorer, desk: Desk) -> Scorer:
    """Return the scorer of a run: the task set's, with the critic's judgement where there is one.

    Raises:
        ConfigError: A prompt of the critic lacks a placeholder.
    """
    from .scorers.make import needs_target

    if config.critic is None:
        return gold
    return SignalScorer(
        gold=gold,
        critic=make_critic(config.critic, desk),
        signal=config.training.signal,
        accept_by=config.training.accept_by,
        needs_target=needs_target(config.scorer.kind),
    )


def make_critic(critic: CriticConfig, desk: Desk) -> Critic:
    """Build the critic.

    Raises:
        ConfigError: A prompt lacks a placeholder.
    """
    from ..engine.critics.model import CriticSettings, ModelCritic
    from ..engine.critics.rubric import Rubric, packaged_dimensions

    rubric = Rubric(
        dimensions=critic.dimensions or packaged_dimensions(),
        judging=critic.prompt.text if critic.prompt else None,
        judging_file=critic.prompt.path if critic.prompt else None,
        comparing=critic.pairwise_prompt.text if critic.pairwise_prompt else None,
        comparing_file=critic.pairwise_prompt.path if critic.pairwise_prompt else None,
    )
    return ModelCritic(
        CriticSettings(
            model=critic.model,
            rubric=rubric,
            votes=critic.votes,
            tries=critic.tries,
            temperature=critic.temperature,
            seed=critic.seed,
            reply_tokens=critic.reply_tokens,
            prompt_tokens=critic.prompt_tokens,
            structured=critic.structured,
        ),
        desk,
    )


def initial_parameters(config: Config) -> Parameters:
    """Return what learning starts from: nothing, or a file of `funcforge export`.

    Raises:
        ConfigError: The file is wrong.
    """
    if config.parameters is None:
        return Parameters(instructions=config.agent.instructions)
    from .exporters.json import read_parameters

    parameters = read_parameters(config.parameters)
    if config.agent.instructions:
        return replace(parameters, instructions=config.agent.instructions)
    return parameters


def sandbox_settings(config: Config) -> SandboxSettings:
    """Return what the sandbox is told."""
    from .sandboxes.settings import SandboxSettings

    sandbox = config.sandbox
    return SandboxSettings(
        backend=sandbox.backend,
        packages=sandbox.packages,
        wall_s=sandbox.seconds,
        memory_mb=sandbox.memory_mb,
        scratch_mb=sandbox.scratch_mb,
        output_bytes=sandbox.output_kb * 1024,
        parallel=sandbox.processes,
        seed=config.seed,
    )


def retry_settings(config: Config) -> Retry:
    """Return how patiently models are asked.

    Each model's own time limit is kept by its adapter; the engine's is for all, so it is the
    longest of them.
    """
    limit_s = config.limits.call_timeout_s
    own = (model.timeout_s for model in config.models.values() if model.timeout_s is not None)
    return Retry(attempts=config.limits.attempts, call_timeout_s=max((limit_s, *own)))


def model_settings(config: Config) -> dict[str, ModelSettings]:
    """Return what a person says about each model."""
    from .models.settings import ModelSettings

    return {
        name: ModelSettings(
            **{
                **model.model_dump(),
                "timeout_s": model.timeout_s or config.limits.call_timeout_s,
            }
        )
        for name, model in config.models.items()
    }


def settings_of_model(config: Config, model: str) -> ModelSettings:
    """Return what a person says about one model, with the defaults where nothing is said."""
    from .models.settings import ModelSettings

    default = ModelSettings(timeout_s=config.limits.call_timeout_s)
    return model_settings(config).get(model, default)


def describe_model(config: Config, model: str) -> str:
    """Say what is known of a model, without asking it.

    Raises:
        ModelConfigError: No provider of this name, or its key is missing.
    """
    from .local.model import LOCAL, LocalModels
    from .models.litellm import LiteLLMModel

    here = model.startswith(f"{LOCAL}/")
    known: Model = LocalModels() if here else LiteLLMModel(model_settings(config))
    facts = known.describe(model)
    price = "unpriced" if facts.prompt_pusd is None else f"{facts.prompt_pusd / 1e6:g} USD/M prompt"
    return f"{model}: {facts.context_tokens:,} tokens of context, {price}"


def check_models(config: Config, parts: Parts) -> None:
    """Refuse what would fail at the first call, or overspend.

    Raises:
        ModelConfigError: No provider of a name, or a key is missing.
        ConfigError: There is a cap in USD and a model without a price.
    """
    for model in sorted(config.models_used):
        facts = parts.model.describe(model)
        if config.budget.cost_usd is not None and facts.prompt_pusd is None:
            raise ConfigError(
                f"{model} has no known price, so the cap cannot be kept; set "
                f'models."{model}".prompt_usd_per_million and completion_usd_per_million',
                key="budget.cost_usd",
            )


def load_callable(name: str, *, key: str) -> Any:
    """Import a person's own `module:function` or `file.py:function`.

    Raises:
        ConfigError: There is no such module, file or name.
    """
    import importlib
    import importlib.util
    import sys

    module_name, _, attribute = name.rpartition(":")
    try:
        if module_name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            # registered first: dataclasses look their own module up
            sys.modules.setdefault(spec.name, module)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
        return getattr(module, attribute)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"{name!r} cannot be imported: {error}", key=key) from error


def _rate_limits(config: Config, account: AccountLimits | None) -> RateLimits:
    limits = config.limits

    def either(name: str) -> Any:
        own = getattr(account, name) if account is not None else None
        return own if own is not None else getattr(limits, name)

    return RateLimits(
        in_flight=either("in_flight"),
        requests_per_minute=either("requests_per_minute"),
        tokens_per_minute=either("tokens_per_minute"),
    )
