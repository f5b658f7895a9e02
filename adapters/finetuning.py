"""Builds what fine-tuning takes, from the config: the optimizer, the tuner, local models."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from ..engine.errors import ConfigError
from ..engine.optimizer import Optimizer
from ..engine.ports import Model, Tuner
from ..engine.selection import SelectionSettings, make_strategy
from ..engine.tuning import TuningPatience
from .config import Config
from .local.model import LOCAL, LocalModels, LocalSettings

KIND = "finetune"


def make_finetune_optimizer(config: Config) -> Optimizer:
    """Build the optimizer.

    Raises:
        ConfigError: A setting makes no sense.
    """
    from ..engine.optimizers.finetune import FinetuneOptimizer, FinetuneSettings
    from .exporters.mixture import Mixture, general_examples

    tuning = config.finetune
    pairs = tuning.learn == "preferences"
    if pairs and config.selection.strategy != "margin":
        raise ConfigError(
            'finetune.learn = "preferences" needs selection.strategy = "margin"',
            key="selection.strategy",
        )
    if tuning.pairwise and not (pairs and config.critic):
        raise ConfigError(
            'finetune.pairwise compares preferences: it needs finetune.learn = "preferences" and a '
            "[critic]",
            key="finetune.pairwise",
        )
    if pairs and tuning.general is not None:
        raise ConfigError("general data has no preferences", key="finetune.general")
    settings = FinetuneSettings(
        model=config.agent.model,
        epochs=tuning.epochs,
        least=tuning.least,
        preferences=pairs,
        pairwise=tuning.pairwise,
        from_start=tuning.from_start,
        seed=config.seed,
    )
    strategy = make_strategy(SelectionSettings(**config.selection.model_dump()))
    if tuning.general is None:
        return FinetuneOptimizer(strategy, settings)
    mixture = Mixture(path=Path(tuning.general), own_share=tuning.own_share, seed=config.seed)
    return FinetuneOptimizer(
        strategy, settings, general=lambda own: tuple(general_examples(mixture, own))
    )


async def open_tuner(config: Config, stack: AsyncExitStack) -> Tuner | None:
    """Open who fine-tunes the agent's model; None where the optimizer does not want it."""
    if config.optimizer.kind != KIND:
        return None
    tuning = config.finetune
    if config.agent.model.startswith(f"{LOCAL}/"):
        from .local.tuner import LocalTuner, LocalTuning

        local = LocalTuning(
            folder=Path(tuning.folder),
            method=tuning.method,
            lora_rank=tuning.lora_rank,
            learning_rate=tuning.learning_rate or (2e-4 if tuning.method == "lora" else 2e-5),
            batch_size=tuning.batch_size or 8,
            max_length=tuning.max_length,
            threads=tuning.threads,
        )
        return await stack.enter_async_context(LocalTuner(local))
    from .providers import settings_of_model
    from .tuners.provider import ProviderTuner, ProviderTuning

    return await stack.enter_async_context(
        ProviderTuner(
            config.agent.model,
            settings_of_model(config, config.agent.model),
            ProviderTuning(
                learning_rate_multiplier=tuning.learning_rate,
                batch_size=tuning.batch_size,
                usd_per_million_tokens=tuning.usd_per_million_tokens,
            ),
        )
    )


def tuning_patience(config: Config) -> TuningPatience:
    """Return how long a job is waited for."""
    tuning = config.finetune
    patience = TuningPatience(wait_s=tuning.wait_s, poll_s=tuning.poll_s)
    return replace(patience, first_poll_s=min(patience.first_poll_s, tuning.poll_s))


async def with_local_models(config: Config, model: Model, stack: AsyncExitStack) -> Model:
    """Return a model that also serves folders of this machine, where the config names one."""
    if not any(name.startswith(f"{LOCAL}/") for name in config.models_used):
        return model
    from .models.routed import RoutedModels

    settings = LocalSettings(threads=config.finetune.threads)
    local = await stack.enter_async_context(LocalModels(settings))
    return RoutedModels(model, {LOCAL: local})
