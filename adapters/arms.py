"""From the arms that a config names to parameters: out of files, and out of stored runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..engine.arm import Arm, arm_of, evaluation_of
from ..engine.episode import Episode
from ..engine.errors import ConfigError
from ..engine.parameters import Parameters
from ..engine.tasks import TaskSet
from .config import ArmConfig, ArmParameters, CompareConfig, Config

if TYPE_CHECKING:
    from ..storage.records import Evaluated, RunView


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
                one.model_copy(
                    update={
                        "parameters": _resolve(config, one.parameters, known),
                        **_whole_run_id(config, one),
                    }
                )
                for one in getattr(compare, name)
            )
            for name in ("arms", "learned")
        },
    )
    return config.model_copy(update={"compare": resolved})


def _whole_run_id(config: Config, arm: object) -> dict[str, str]:
    """Return where a recorded arm's episodes are, with `latest` and short ids spelled out."""
    from ..storage.runs import RunReader

    if not isinstance(arm, ArmConfig) or arm.recorded is None:
        return {}
    run, slash, name = arm.recorded.partition("/")
    with RunReader(config.store.path) as reader:
        return {"recorded": f"{reader.resolve(run)}{slash}{name}"}


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


def make_arm(config: Config, arm: ArmConfig, tasks: TaskSet) -> Arm:
    """Return a resolved arm for the engine.

    Raises:
        ConfigError: Its record is damaged, or was made on other tasks or fewer repeats.
        StoreError: The database cannot be read.
    """
    if arm.recorded is not None:
        return _recorded_arm(config, arm, tasks)
    return Arm(name=arm.name, parameters=parameters_of(config, arm), lesson=arm.trained or "")


def _recorded_arm(config: Config, arm: ArmConfig, tasks: TaskSet) -> Arm:
    from ..storage.outcomes import OutcomeReader
    from ..storage.runs import RunReader

    run, _, name = (arm.recorded or "").partition("/")
    with RunReader(config.store.path) as reader:
        view = reader.view(reader.resolve(run))
    path, run_id = config.store.path, view.summary.id
    evaluation = _evaluation(arm, view, name)
    hashes = [view.task_hashes.get(split) for split in ("test", "validation", "train")]
    found = next((one for one in hashes if one is not None), None)
    if found != tasks.hash:
        raise ConfigError(
            f"arm {arm.name!r}: run {run_id} was scored on other tasks (hash {found}) than these "
            f"(hash {tasks.hash}); arms are compared on the same tasks only",
            key="compare.arms.recorded",
        )
    assert config.compare is not None
    planned = config.compare.repeats * len(tasks)
    if (evaluation.planned or 0) < planned:
        raise ConfigError(
            f"arm {arm.name!r}: run {run_id} has {evaluation.planned} episodes, {planned} are due "
            f"for {len(tasks)} tasks x {config.compare.repeats}; take fewer compare.repeats",
            key="compare.arms.recorded",
        )

    def episodes() -> Iterator[Episode]:
        with OutcomeReader(path) as reader:
            for task in dict.fromkeys(one.task_id for one in reader.outcomes(run_id)):
                yield from reader.episodes(run_id, task, [evaluation.evaluation])

    parameters = view.parameters.get(evaluation.version, Parameters())
    agent = view.config.get("agent")
    model = agent.get("model") if isinstance(agent, Mapping) else None
    parameters = replace(parameters, model=parameters.model or model)
    return Arm(name=arm.name, parameters=parameters, recorded=episodes)


def _evaluation(arm: ArmConfig, view: RunView, name: str) -> Evaluated:
    """Return the evaluation of a stored run that an arm takes its episodes from."""
    finished = {one.evaluation: one for one in view.evaluations if one.score is not None}
    if view.summary.kind == "compare":
        found = finished.get(evaluation_of(name))
        allowed = ", ".join(f"{view.summary.id}/{arm_of(one)}" for one in finished)
    else:
        found = next(iter(finished.values()), None) if view.summary.kind == "evaluate" else None
        allowed = "a finished run of `funcforge evaluate`"
    if found is None:
        raise ConfigError(
            f"arm {arm.name!r}: {arm.recorded!r} holds no finished evaluation; allowed are "
            f"{allowed or 'finished arms, of which that run has none'}",
            key="compare.arms.recorded",
        )
    return found


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
