"""Opens the workers that a config asks for, and what each of them works with."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from ...engine.errors import ConfigError
from .. import parts, providers
from ..config import Config
from ..models.litellm import LiteLLMModel
from ..models.settings import ModelSettings
from ..sandboxes.opening import open_sandbox
from ..sandboxes.settings import SandboxSettings
from .bench import Bench, Desk, Setup
from .crew import Crew, Workplace, open_crew
from .processes import Processes, useful_workers

OPENER = f"{__name__}:open_bench"


@asynccontextmanager
async def open_workers(config: Config) -> AsyncGenerator[Crew]:
    """Begin to start the workers of a run.

    Raises:
        ConfigError: The cluster cannot be reached, or is not as this process; or a model runs in
            this very process, where workers cannot ask it.
    """
    executor = config.executor
    local = sorted(name for name in config.models_used if name.startswith("local/"))
    if local:
        raise ConfigError(
            f'is "{executor.kind}", but {local[0]} runs in one process and fills all its cores: '
            'set "local"',
            key="executor.kind",
        )
    async with AsyncExitStack() as stack:
        workplace: Workplace = Processes()
        useful = useful_workers(config.limits.in_flight)
        if executor.kind == "ray":
            from .cluster import open_cluster

            cluster = await stack.enter_async_context(
                open_cluster(executor.address, executor.workers)
            )
            workplace, useful = cluster, min(cluster.cpus, config.limits.in_flight)
        workers = executor.workers or useful
        setup = Setup(opener=OPENER, given={"config": config.record(), "workers": workers})
        yield await stack.enter_async_context(
            open_crew(workplace, setup, workers, silence_s=executor.silence_s)
        )


@asynccontextmanager
async def open_bench(given: Mapping[str, Any], desk: Desk) -> AsyncGenerator[Bench]:
    """Open what a worker works with, by the config of its run.

    Raises:
        ConfigError: The person's own agent or scorer cannot be imported here.
        ModelConfigError: The model's key is missing here.
        SandboxUnavailable: No sandbox works here.
    """
    config = Config.model_validate(given["config"])
    default = ModelSettings(timeout_s=config.limits.call_timeout_s)
    async with (
        LiteLLMModel(providers.model_settings(config), default=default) as model,
        anyio.create_task_group() as loading,
    ):
        if providers.needs_litellm(config):
            loading.start_soon(model.load)
        async with (
            open_sandbox(_share(config, given["workers"])) as sandbox,
            parts.make_scorer(config, desk) as scorer,
        ):
            if providers.needs_litellm(config):
                await model.load()
            model.describe(config.agent.model)
            yield Bench(
                agent=parts.make_agent(config),
                settings=parts.agent_settings(config),
                limits=parts.agent_limits(config),
                scorer=parts.with_critic(config, scorer, desk),
                sandbox=sandbox,
                model=model,
                timeout_s=config.limits.episode_timeout_s,
                environment=parts.make_environment(config),
                environment_timeout_s=parts.environment_timeout_s(config),
                seed=config.seed,
            )


def _share(config: Config, workers: int) -> SandboxSettings:
    """Return the sandbox's settings for one worker: together they take what one process would."""
    settings = parts.sandbox_settings(config)
    return replace(
        settings,
        parallel=math.ceil(settings.cores / workers),
        interpreters=math.ceil(settings.interpreters / workers),
    )
