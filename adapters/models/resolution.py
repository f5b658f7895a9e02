"""From a model's name to everything a call needs: provider, key, base URL, facts and prices."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ...engine.errors import ModelConfigError
from ...engine.ports import ModelFacts
from .failures import FIX, Source
from .prices import (
    Prices,
    TokenCounts,
    set_prices,
    table_prices,
    usd_to_pusd,
    worst_prices,
)
from .settings import ModelSettings

EMBEDDED = "embedded"
# what we assume of a model that LiteLLM does not know, mostly local ones
CONTEXT_TOKENS = 32_768
MAX_OUTPUT_TOKENS = 4_096
NO_KEY = "no-key"  # sent to a base URL of one's own, which often wants none

# they run on the user's own machine: a price of zero is the truth
LOCAL = frozenset(
    {"ollama", "ollama_chat", "hosted_vllm", "vllm", "lm_studio", "llamafile", "lemonade"}
    | {"docker_model_runner"}
)
_MARKED = frozenset({"anthropic", "bedrock"})
_KEY_VARIABLES = {
    "together_ai": "TOGETHERAI_API_KEY",
    "fireworks_ai": "FIREWORKS_AI_API_KEY",
    "vertex_ai": "GOOGLE_APPLICATION_CREDENTIALS",
    "bedrock": "AWS_ACCESS_KEY_ID",
}
_BASE_VARIABLES = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "anthropic": ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    "azure": ("AZURE_API_BASE",),
    "gemini": ("GEMINI_API_BASE",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """One model, ready to be asked."""

    model: str  # provider/model, as asked for
    name: str  # as the provider spells it
    provider: str
    settings: ModelSettings
    facts: ModelFacts
    prices: Prices
    prices_are_exact: bool  # whether our sum equals LiteLLM's; otherwise LiteLLM is asked
    source: Source
    takes_tools: bool = True  # as far as LiteLLM knows
    takes_marks: bool = (
        False  # of what its prompt cache is to keep; others find that out themselves
    )
    key: str | None = field(default=None, repr=False)
    base_url: str | None = None  # None: the provider's own


def is_embedded(model: str) -> bool:
    """Whether a model comes with the package: it is asked without LiteLLM."""
    return model.startswith(f"{EMBEDDED}/")


def resolve(litellm: Any, model: str, settings: ModelSettings) -> ResolvedModel:
    """Look a model up in LiteLLM. No network.

    Raises:
        ModelConfigError: The name resolves to no provider, its key is missing, or its base URL is
            no URL.
    """
    if is_embedded(model):
        return _embedded(model, settings)
    if settings.base_url is not None:
        _check_base(model, settings.base_url)
    name, provider, dynamic_key, dynamic_base = _provider(litellm, model, settings)
    key, variable = _key(litellm, model, provider, settings, dynamic_key)
    base_url = settings.base_url or dynamic_base or _environment_base(provider)
    info = _info(litellm, name, provider)
    table = table_prices(info, free=provider in LOCAL)
    prices = set_prices(settings, table)
    host = urlsplit(base_url).netloc if settings.base_url and base_url else ""
    return ResolvedModel(
        model=model,
        name=name,
        provider=provider,
        settings=settings,
        facts=_facts(info, settings, prices, account=_account(provider, base_url, key)),
        prices=prices,
        prices_are_exact=prices is not table or _sums_agree(litellm, name, provider, prices, info),
        source=Source(
            model=model,
            provider=provider,
            host=host,
            key_variable=variable,
            secrets=(key,) if key and key != NO_KEY else (),
        ),
        takes_tools=_takes_tools(litellm, name, provider),
        takes_marks=provider in _MARKED and bool(info.get("supports_prompt_caching")),
        key=key,
        base_url=base_url,
    )


def litellm_cost(litellm: Any, resolved: ResolvedModel, usage: Mapping[str, Any]) -> int | None:
    """Return the cost as LiteLLM sums it up, in picodollars; None if it cannot."""
    return _litellm_sum(litellm, resolved.name, resolved.provider, usage)


def _embedded(model: str, settings: ModelSettings) -> ResolvedModel:
    facts = ModelFacts(
        context_tokens=settings.context_tokens or 1_000_000,  # it reads text, not tokens
        max_output_tokens=settings.max_output_tokens or 65_536,
        prompt_pusd=0,
        completion_pusd=0,
        account=EMBEDDED,
    )
    return ResolvedModel(
        model=model,
        name=model.partition("/")[2],
        provider=EMBEDDED,
        settings=settings,
        facts=facts,
        prices=Prices(prompt=0, completion=0),
        prices_are_exact=True,
        source=Source(model=model, provider=EMBEDDED),
    )


def _check_base(model: str, base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        is_url = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that are none
        is_url = False
    if not is_url or any(character.isspace() for character in base_url):
        raise ModelConfigError(
            f"{model}: base_url {base_url!r} is no URL: write http://HOST:PORT/v1 or https://... "
            f"({FIX})",
            kind="unsupported",
            model=model,
        )


def _provider(
    litellm: Any, model: str, settings: ModelSettings
) -> tuple[str, str, str | None, str | None]:
    try:
        found: tuple[str, str, str | None, str | None] = litellm.get_llm_provider(
            model, api_base=settings.base_url
        )
    except Exception as error:  # LiteLLM raises several kinds; all say the name is unknown
        provider, slash, _ = model.partition("/")
        known = sorted(str(getattr(item, "value", item)) for item in litellm.provider_list)
        near = difflib.get_close_matches(provider, [*known, EMBEDDED], n=1)
        hint = f"; did you mean {near[0]}/...?" if near else ""
        what = f"unknown provider {provider!r}" if slash else "no provider in the name"
        raise ModelConfigError(
            f"{model}: {what}{hint}. Names are provider/model, as LiteLLM spells them ({FIX})",
            kind="unknown_model",
            model=model,
        ) from error
    return found


def _key(
    litellm: Any, model: str, provider: str, settings: ModelSettings, dynamic: str | None
) -> tuple[str | None, str]:
    """Return the key, if it is ours to send, and the variable it comes from."""
    if settings.api_key_env is not None:
        key = os.environ.get(settings.api_key_env)
        if not key:
            raise _no_key(model, settings.api_key_env)
        return key, settings.api_key_env
    variable = _KEY_VARIABLES.get(provider, f"{provider.upper()}_API_KEY")
    if dynamic:
        return dynamic, variable if os.environ.get(variable) == dynamic else ""
    if os.environ.get(variable) and variable.endswith("_API_KEY"):
        return os.environ[variable], variable
    checked = litellm.validate_environment(model)
    # clouds with credential chains of their own (profiles, roles) find more than variables
    missing = [name for name in checked["missing_keys"] if name.endswith("_API_KEY")]
    if checked["keys_in_environment"] or not missing or _has_azure_token(provider):
        return None, variable
    if settings.base_url is not None:
        return NO_KEY, missing[0]
    raise _no_key(model, " or ".join(missing))


def _no_key(model: str, variable: str) -> ModelConfigError:
    return ModelConfigError(
        f"{model}: no API key: set the environment variable {variable} ({FIX})",
        kind="auth",
        model=model,
    )


def _has_azure_token(provider: str) -> bool:
    names = ("AZURE_AD_TOKEN", "AZURE_CLIENT_ID")
    return provider == "azure" and any(os.environ.get(name) for name in names)


def _environment_base(provider: str) -> str | None:
    found = (os.environ.get(name) for name in _BASE_VARIABLES.get(provider, ()))
    return next((url for url in found if url), None)


def _account(provider: str, base_url: str | None, key: str | None) -> str:
    """Name what shares one rate limit. The key is only hinted at, by a hash of it."""
    account = provider
    if base_url:
        parts = urlsplit(base_url)
        account += f"@{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    if key and key != NO_KEY:
        account += f"#{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    return account


def _info(litellm: Any, name: str, provider: str) -> Mapping[str, Any]:
    """Return LiteLLM's entry for a model, empty if there is none."""
    if provider.startswith("ollama"):  # its own look-up would ask the server
        entry: Mapping[str, Any] = litellm.model_cost.get(f"{provider}/{name}") or {}
        return entry
    try:
        found = litellm.get_model_info(model=name, custom_llm_provider=provider)
    except Exception:  # it raises a bare Exception for a model that it does not know
        return {}
    return {key: value for key, value in dict(found).items() if value is not None}


def _facts(
    info: Mapping[str, Any], settings: ModelSettings, prices: Prices, *, account: str
) -> ModelFacts:
    context = settings.context_tokens or info.get("max_input_tokens") or info.get("max_tokens")
    output = settings.max_output_tokens or info.get("max_output_tokens") or info.get("max_tokens")
    overridden = settings.prompt_usd_per_million is not None
    worst = prices if overridden else worst_prices(info, prices)
    return ModelFacts(
        context_tokens=int(context or CONTEXT_TOKENS),
        max_output_tokens=int(output or MAX_OUTPUT_TOKENS),
        prompt_pusd=worst.prompt,
        completion_pusd=worst.completion,
        account=account,
    )


def _takes_tools(litellm: Any, name: str, provider: str) -> bool:
    known = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider)
    return known is None or "tools" in known


_SAMPLES = (
    TokenCounts(prompt=1_000, completion=100),
    TokenCounts(prompt=5_000, completion=300, cached=4_000),
    TokenCounts(prompt=900_000, completion=9_000),  # beyond every threshold of a tier
)


def _sums_agree(
    litellm: Any, name: str, provider: str, prices: Prices, info: Mapping[str, Any]
) -> bool:
    """Whether tokens times price is all there is to this model's cost."""
    if not prices.known:
        return True
    if any("off_peak" in key for key in info):  # depends on the hour
        return False
    for counts in _SAMPLES:
        usage = {
            "prompt_tokens": counts.prompt,
            "completion_tokens": counts.completion,
            "total_tokens": counts.prompt + counts.completion,
            "prompt_tokens_details": {"cached_tokens": counts.cached},
        }
        theirs = _litellm_sum(litellm, name, provider, usage)
        if theirs is None or abs(theirs - prices.cost(counts)) > 1:
            return False
    return True


def _litellm_sum(litellm: Any, name: str, provider: str, usage: Mapping[str, Any]) -> int | None:
    try:
        prompt, completion = litellm.cost_per_token(
            model=name, custom_llm_provider=provider, usage_object=litellm.Usage(**usage)
        )
    except Exception:  # a model or a bill that its table has no formula for
        return None
    return usd_to_pusd(prompt + completion)
