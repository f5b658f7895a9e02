"""From the arms that a config names to parameters: out of files, and out of stored runs."""

from __future__ import annotations

import math
from dataclasses import replace

from ..engine.errors import ConfigError
from ..engine.parameters import Parameters
from .config import ArmConfig, ArmParameters, CompareConfig, Config


def resolve_arms(config: Config) -> Config:
    """Return the config with what every arm's parameters are, for the record.

    Raises:
        ConfigError: A file is wrong, or there is no such run or version.
        StoreError: The database cannot be read.
    """
    compare = config.compare
    if compare is None:
        raise ConfigError("is missing: add two [[compare.arms]]", key="compare")
    known: dict[str, ArmParameters] = {}
    resolved = CompareConfig.model_copy(
        compare,
        update={
            name: tuple(
                one.model_copy(update={"parameters": _resolve(config, one.parameters, known)})
                for one in getattr(compare, name)
            )
            for name in ("arms", "learned")
        },
    )
    return config.model_copy(update={"compare": resolved})


def _resolve(
    config: Config, parameters: ArmParameters | None, known: dict[str, ArmParameters]
) -> ArmParameters | None:
    if parameters is None or parameters.body is not None:
        return parameters
    source = parameters.source
    if source not in known:
        found = _from_file(source) if source.endswith(".json") else _from_run(config, source)
        known[source] = parameters.model_copy(update={"body": found.to_json()})
    return known[source]


def _from_file(path: str) -> Parameters:
    from .exporters.json import read_parameters

    return read_parameters(path)


def _from_run(config: Config, source: str) -> Parameters:
    from ..storage.runs import RunReader
    from .views.story import find_version, tell

    name, _, version = source.partition("@")
    try:
        with RunReader(config.store.path) as reader:
            story = tell(reader.view(reader.resolve(name)))
            return find_version(story, version or "result")
    except ConfigError as error:
        raise ConfigError(
            f"{source!r} gives no parameters: {error}. Allowed are a .json file of `funcforge "
            'export`, RUN, RUN@VERSION and "untrained"',
            key="compare.arms.parameters",
        ) from None


def parameters_of(config: Config, arm: ArmConfig) -> Parameters:
    """Return the parameters of a resolved arm, with the model that it asks.

    Raises:
        ConfigError: The record of it is damaged.
    """
    if arm.parameters is None or arm.parameters.body is None:
        found = Parameters()
    else:
        try:
            found = Parameters.from_json(arm.parameters.body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"arm {arm.name!r} holds no parameters: {error!r}", key="compare.arms"
            ) from None
    model = arm.model or found.model or config.agent.model  # a fine-tuned one is learned too
    instructions = config.agent.instructions or found.instructions
    return replace(found, model=model, instructions=instructions)


def check_enough(config: Config, tasks: int) -> None:
    """Refuse fewer tasks than the tests need, before anything is paid for.

    With every task in favour of one arm, a paired test of n tasks has p = 2 / 2^n; Holm's first
    step asks for p <= alpha / pairs.

    Raises:
        ConfigError: No outcome at all could tell two arms apart.
    """
    assert config.compare is not None
    arms = len(config.compare.all_arms())
    pairs = arms * (arms - 1) // 2
    need = math.ceil(1 + math.log2(pairs / config.compare.alpha))
    if tasks < need:
        raise ConfigError(
            f"{tasks} tasks can tell no two of {arms} arms apart: {pairs} paired tests at "
            f"alpha {config.compare.alpha:g} need at least {need}. Add tasks, or take fewer arms",
            key="tasks",
        )
