"""Builds each concrete part of a run from its config: tasks, agent, optimizer, scorer, ..."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.acceptance import Acceptance
from ..engine.acceptances import policy
from ..engine.agent import Agent
from ..engine.errors import ConfigError
from ..engine.optimizer import Optimizer
from ..engine.parameters import Parameters
from ..engine.ports import AgentLimits, Environment, Scorer
from ..engine.selection import SelectionSettings, make_strategy
from ..engine.signal import SignalScorer
from ..engine.stopping import Stopping
from ..engine.tasks import Split, Splits, TaskSet
from ..engine.training_settings import TrainingSettings
from ..engine.workspace import PYTHON, AgentSettings
from .config import Config
from .config.sections import CriticConfig

if TYPE_CHECKING:
    from ..engine.critic import Critic
    from ..engine.critics.model import Desk
    from .sandboxes.settings import SandboxSettings
    from .scorers.make import FencedScorer
    from .scorers.model_graded import Judge

# optimizers whose proposals are not drawn anew, or cost a fine-tuning each
UNSAMPLED = frozenset({"demonstrations", "finetune"})
# policies that control a false acceptance
ALPHA_POLICIES = frozenset({"fixed", "sequential"})


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
                count=part.count,
                path=part.path,
                split=part.split,
                categories=part.categories,
                only=part.only,
            )
            for name, part in wanted.items()
        },
    )
    return load_splits(settings, config.seed)


def task_hashes(splits: Splits) -> dict[str, str]:
    """Return the content hash of each split that there is."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: tasks.hash for name, tasks in parts.items() if tasks is not None}


def evaluated(splits: Splits) -> TaskSet:
    """Return the tasks to score without learning.

    Raises:
        ConfigError: There are none.
    """
    tasks = splits.test or splits.validation or splits.train
    if tasks is None:
        raise ConfigError("there are no tasks to evaluate on", key="tasks")
    return tasks


def training_settings(config: Config) -> TrainingSettings:
    """Return what the trainer is told.

    Raises:
        ConfigError: Several proposals a step of an optimizer that would propose the same again.
    """
    training = config.training
    if training.candidates > 1 and config.optimizer.kind in UNSAMPLED:
        raise ConfigError(
            f"the optimizer {config.optimizer.kind!r} makes one proposal from what it saw, so that"
            " several would be the same; functions and instructions are sampled from a model",
            key="training.candidates",
        )
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
        candidates=training.candidates,
        first_lap=training.first_lap,
        test_repeats=training.test_repeats,
        accept_on=training.accept_on,
        feedback=config.optimizer.feedback,
        roll_back=training.roll_back,
        test_beside=training.test_beside,
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
    if training.acceptance == "sequential":
        climb = options.setdefault("climb", not sampled)
        if climb is True and sampled:
            raise ConfigError(
                "a climb compares many steps on the same tasks: leave it out, or set"
                ' training.accept_on = "validation", or batch_size = 0',
                key="training.acceptance_options.climb",
            )
        if climb is False and training.accept_on == "train":
            options.setdefault("sampled", sampled)
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
    except Exception as error:  # whatever a person's module does while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{name!r} cannot be imported: {reason}", key=key) from error
