"""Reads a table's file and lays out the runs that it stands for.

name = "MATH by type"
base = "base.toml"          # the config that all its runs share
seeds = [0, 1, 2]

[[axis]]                    # a row for each combination of the axes' values
name = "type"
[[axis.value]]
name = "Algebra"
set = { "tasks.train.categories" = ["Algebra"], "tasks.test.categories" = ["Algebra"] }

[[transfer]]                # each result is also scored on the test tasks of these settings
name = "Geometry"
set = { "tasks.test.categories" = ["Geometry"] }
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from ...engine.canonical import content_hash
from ...engine.errors import ConfigError
from ..config import Changes, Config, load_config
from ..config.problems import from_validation, raise_problems
from ..config.sections import Section

FREE = ("name", "budget", "limits", "log", "store", "models")  # say nothing of a run's results
_SLUG = 40  # characters of a name in a run's id


class Value(Section):
    """One value of an axis, or a transfer: a name and the settings that make it."""

    name: Annotated[str, Field(min_length=1)]
    set: dict[str, Any] = Field(default_factory=dict)
    learn: bool = True  # False: no training, its test tasks are scored as they are


class Axis(Section):
    """What differs between rows."""

    name: Annotated[str, Field(min_length=1)]
    value: Annotated[tuple[Value, ...], Field(strict=False, min_length=1)]


class TableFile(Section):
    """A table as it is written down."""

    name: Annotated[str, Field(min_length=1)]
    base: str
    note: str = ""  # shown under the title
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (0,)
    axis: Annotated[tuple[Axis, ...], Field(strict=False)] = ()
    transfer: Annotated[tuple[Value, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _distinct(self) -> TableFile:
        for what, names in (
            ("seed", [str(seed) for seed in self.seeds]),
            ("axis", [axis.name for axis in self.axis]),
            ("transfer", [one.name for one in self.transfer]),
            *((f"value of axis {axis.name!r}", [v.name for v in axis.value]) for axis in self.axis),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"the {what} {twice!r} stands in it twice")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A second score of a result: on the test tasks of other settings."""

    name: str
    run_id: str
    config: Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a table: a row under one seed."""

    labels: tuple[str, ...]  # a value's name for each axis
    seed: int
    learn: bool
    run_id: str  # follows from the settings, so that the same command finds its runs again
    config: Config
    transfers: tuple[Transfer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a table runs, in order."""

    name: str
    note: str
    axes: tuple[str, ...]
    transfers: tuple[str, ...]
    jobs: tuple[Job, ...]

    @property
    def slug(self) -> str:
        """The name as part of a file's name."""
        return slug(self.name)


def load_table(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a table's file and the config of every run of it: all are checked before one begins.

    Args:
        path: The file.
        overrides: `key=value` over every run.

    Raises:
        ConfigError: Names what is wrong, in which file or for which row.
        TaskError: A task file is wrong.
    """
    table = _read(path)
    jobs = []
    for values in itertools.product(*(axis.value for axis in table.axis)):
        jobs += [_job(table, path, values, seed, overrides) for seed in table.seeds]
    return Plan(
        name=table.name,
        note=table.note,
        axes=tuple(axis.name for axis in table.axis),
        transfers=tuple(one.name for one in table.transfer),
        jobs=tuple(jobs),
    )


def slug(name: str) -> str:
    """Return a name as part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SLUG].strip("-") or "table"


def _read(path: Path) -> TableFile:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"is not valid TOML: {error}", file=str(path)) from None
    if "agent" in data:
        raise ConfigError(
            "is the config of one run, no table: a table has name, base, seeds and [[axis]]",
            file=str(path),
        )
    try:
        return TableFile.model_validate(data)
    except ValidationError as error:
        raise_problems(from_validation(error, {}, str(path)))
        raise  # never reached: there is a problem


def _job(
    table: TableFile, path: Path, values: tuple[Value, ...], seed: int, overrides: Sequence[str]
) -> Job:
    labels = tuple(value.name for value in values)
    row = ", ".join(labels) or table.name
    learn = all(value.learn for value in values)
    config = _config(table, path, values, seed, overrides, learn=learn, row=row)
    run_id = _run_id(table.name, row, seed, config)
    transfers = []
    for one in table.transfer if learn else ():
        name = f"{row} to {one.name}"
        other = _config(table, path, (*values, one), seed, overrides, learn=False, row=name)
        _task_hashes(other)
        transfers.append(Transfer(name=one.name, config=other, run_id=f"{run_id}-{slug(one.name)}"))
    return Job(
        labels=labels,
        seed=seed,
        learn=learn,
        run_id=run_id,
        config=config,
        transfers=tuple(transfers),
    )


def _config(
    table: TableFile,
    path: Path,
    values: Sequence[Value],
    seed: int,
    overrides: Sequence[str],
    *,
    learn: bool,
    row: str,
) -> Config:
    source = f"{path}, row {row!r}"
    changes = [Changes(source, value.set, path.parent) for value in values]
    changes.append(Changes(source, {"seed": seed, "name": f"{table.name}: {row}"}, path.parent))
    config = load_config(
        path.parent / table.base,
        overrides=overrides,
        purpose="train" if learn else "evaluate",
        changes=changes,
    )
    if config.seed != seed:
        raise ConfigError("a table's seeds stand in its file, they cannot be set", key="seed")
    return config


def _run_id(table: str, row: str, seed: int, config: Config) -> str:
    record = {key: value for key, value in config.record().items() if key not in FREE}
    digest = content_hash([record, _task_hashes(config)])
    return f"{slug(table)}-{slug(row)}-s{seed}-{digest[:8]}"


def _task_hashes(config: Config) -> dict[str, str]:
    """Open the tasks, which checks every row, and return what they are."""
    from ..parts import load_tasks, task_hashes

    return task_hashes(load_tasks(config))


def runs_of(plan: Plan) -> Iterator[str]:
    """Yield the id of every run of a table."""
    for job in plan.jobs:
        yield job.run_id
        yield from (transfer.run_id for transfer in job.transfers)
