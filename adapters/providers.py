"""What a config says about models and about those who serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engine.calls import Retry
from ..engine.errors import ConfigError
from ..engine.limiter import RateLimits
from ..engine.ports import Model
from ..engine.run import Parts
from .config import AccountLimits, Config

if TYPE_CHECKING:
    from .models.settings import ModelSettings


def needs_litellm(config: Config) -> bool:
    """Whether any model of a run is asked through LiteLLM: embedded ones and folders are not."""
    from .local.model import LOCAL
    from .models.resolution import is_embedded

    return not all(
        is_embedded(model) or model.startswith(f"{LOCAL}/") for model in config.models_used
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


def rate_limits(config: Config, account: AccountLimits | None) -> RateLimits:
    """Return what an account allows; what it does not say itself holds for all. None: for all."""
    limits = config.limits

    def either(name: str) -> Any:
        own = getattr(account, name) if account is not None else None
        return own if own is not None else getattr(limits, name)

    return RateLimits(
        in_flight=either("in_flight"),
        requests_per_minute=either("requests_per_minute"),
        tokens_per_minute=either("tokens_per_minute"),
    )
