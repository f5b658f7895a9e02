"""Reads a config: the TOML file, over it the environment, over both the command line."""

from __future__ import annotations

import itertools
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ...engine.errors import ConfigError
from .problems import Problem, dotted, from_validation, raise_problems
from .sections import SPLITS, Config, SandboxConfig

Purpose = Literal["train", "evaluate", "compare"]
PREFIX = "FUNCFORGE_"

# keys that name a file or folder which must exist, and keys that may name a `file.py:function`
_PATHS = (
    ("agent", "prompt"),
    ("optimizer", "prompt"),
    ("scorer", "rubric"),
    ("environment", "path"),
    ("parameters",),
    ("tasks", "path"),
    *(("tasks", split, "path") for split in SPLITS),
)
_CALLABLES = (("agent", "kind"), ("optimizer", "kind"), ("scorer", "kind"), ("environment", "kind"))


def load_config(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    purpose: Purpose = "train",
    changes: Sequence[Changes] = (),
) -> Config:
    """Read a config file.

    Args:
        path: The TOML file. Relative paths in it are seen from its folder.
        overrides: `key=value` with the value in TOML, as given to `--set`; a value that is no
            TOML is a text. Relative paths are seen from the working folder.
        environ: `FUNCFORGE_TRAINING__EPOCHS=3` sets training.epochs. None: `os.environ`.
        purpose: What the config must be complete for.
        changes: Settings of other files, laid over those of this one before all others.

    Raises:
        ConfigError: Names every problem with its file, key and value, and what is allowed.
    """
    file = Path(path)
    data = _read(file)
    data.setdefault("name", file.stem)
    layers = itertools.chain(changes, _layers(overrides, environ))
    return _build(data, layers, file=str(file), folder=file.parent, purpose=purpose)


def load_record(
    record: Mapping[str, Any], *, overrides: Sequence[str] = (), purpose: Purpose = "train"
) -> Config:
    """Rebuild the config that `Config.record` wrote, with changes such as a larger budget.

    Raises:
        ConfigError: The record is of another version, its files are gone, an override is wrong.
    """
    data = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in record.items()
    }
    return _build(
        data, _layers(overrides, {}), file="the run's record", folder=Path.cwd(), purpose=purpose
    )


def load_sandbox(
    *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> SandboxConfig:
    """Read the sandbox's settings alone, for a single call without a config file.

    Raises:
        ConfigError: A setting of it is wrong, or an override is of another table.
    """
    data: dict[str, Any] = {"sandbox": {}}
    origin: dict[str, str] = {}
    problems: list[Problem] = []
    for layer in _layers(overrides, environ):
        if layer.key.startswith("sandbox."):
            problems += _lay_over(data, layer, origin)
        elif layer.source.startswith("--set"):
            message = "only settings of the sandbox can be set here, e.g. sandbox.seconds=3"
            problems.append(Problem(source=layer.source, key="", message=message))
    try:
        settings = SandboxConfig.model_validate(data["sandbox"])
    except ValidationError as error:
        problems += from_validation(error, origin, "sandbox", above=("sandbox",))
    raise_problems(problems)
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=str(file)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(file)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"is not valid TOML: {error}", file=str(file)) from None


class _Layer:
    """One setting of the environment or the command line."""

    def __init__(self, source: str, key: str, value: str) -> None:
        self.source = source
        self.key = key
        self.value = value
        self.folder = Path.cwd()  # from which relative paths are seen

    def parse(self) -> dict[str, Any]:
        """Return the nested table that the setting stands for.

        Raises:
            tomllib.TOMLDecodeError: The key is none.
        """
        try:
            return tomllib.loads(f"{self.key} = {self.value}")
        except (tomllib.TOMLDecodeError, RecursionError):
            # not a TOML value: a text without quotes, which shells make awkward to write
            escaped = "".join(f"\\U{ord(c):08x}" if not c.isalnum() else c for c in self.value)
            return tomllib.loads(f'{self.key} = "{escaped}"')


class Changes(_Layer):
    """Settings of another file, such as a table's, laid over those of the config.

    Args:
        source: What messages call them.
        settings: Nested, or with dotted keys.
        folder: From which relative paths are seen.
    """

    def __init__(self, source: str, settings: Mapping[str, Any], folder: Path) -> None:
        super().__init__(source, "", "")
        self.settings = settings
        self.folder = folder

    def parse(self) -> dict[str, Any]:
        """Return the nested table."""
        nested: dict[str, Any] = {}
        for key, value in _leaves(self.settings):
            _put(nested, tuple(part for one in key for part in _parts(one)), value)
        return nested


def _parts(key: str) -> Sequence[str]:
    """Take a dotted key apart as TOML does: a quoted part may hold dots."""
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return (key,)  # no key at all: the config says that it knows none such
    parts = []
    while isinstance(table, dict):
        (part, table), *_ = table.items()
        parts.append(part)
    return parts


def _layers(overrides: Sequence[str], environ: Mapping[str, str] | None) -> Iterator[_Layer]:
    for name, value in sorted((os.environ if environ is None else environ).items()):
        if name.startswith(PREFIX):
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            yield _Layer(f"environment variable {name}", key, value)
    for override in overrides:
        key, equals, value = override.partition("=")
        source = f"--set {key}"
        yield _Layer(source, key.strip() if equals else "", value)


def _build(
    data: dict[str, Any], layers: Iterator[_Layer], *, file: str, folder: Path, purpose: Purpose
) -> Config:
    problems: list[Problem] = []
    origin: dict[str, str] = {}
    _resolve(data, folder)
    for layer in layers:
        problems += _lay_over(data, layer, origin)
    problems += _missing_files(data, origin, file)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        reported = {problem.key for problem in problems}
        problems += [p for p in from_validation(error, origin, file) if p.key not in reported]
    else:
        if purpose == "train" and config.tasks.train is None:
            message = "is missing: training needs tasks to learn from, e.g. train = 20"
            problems.append(Problem(source=file, key="tasks.train", message=message))
        if purpose == "compare" and config.compare is None:
            message = 'is missing: add two [[compare.arms]], each with name = "..." and a model'
            problems.append(Problem(source=file, key="compare", message=message))
    raise_problems(problems)
    return config


def _lay_over(data: dict[str, Any], layer: _Layer, origin: dict[str, str]) -> list[Problem]:
    try:
        table = layer.parse()
    except (tomllib.TOMLDecodeError, RecursionError):
        message = "must be key=value, e.g. training.epochs=3"
        return [Problem(source=layer.source, key="", message=message)]
    problems: list[Problem] = []
    _resolve(table, layer.folder)
    for key, value in _leaves(table):
        if not _put(data, key, value):
            message = f"{dotted(key[:-1])} is no table: nothing can be set in it"
            problems.append(Problem(source=layer.source, key=dotted(key), message=message))
        origin[dotted(key)] = layer.source
    return problems


def _leaves(
    table: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _put(data: dict[str, Any], key: tuple[str, ...], value: Any) -> bool:
    for part in key[:-1]:
        if isinstance(data.get(part), int | str) and part in SPLITS:
            data[part] = {"count": data[part]}  # `train = 20` and over it train.path
        below = data.setdefault(part, {})
        if not isinstance(below, dict):
            return False
        data = below
    data[key[-1]] = value
    return True


def _resolve(data: dict[str, Any], folder: Path) -> None:
    """Make relative paths absolute."""
    for arm in _arms(data):
        if arm["parameters"].endswith(".json"):
            path = Path(arm["parameters"]).expanduser()
            arm["parameters"] = os.path.abspath(folder / path)
    for key in _PATHS:
        value = _get(data, key)
        if isinstance(value, str) and not _remote(data, key):
            _put(data, key, os.path.abspath(folder / Path(value).expanduser()))
    for key in _CALLABLES:
        module, colon, function = _callable_file(data, key)
        if colon:
            _put(data, key, f"{os.path.abspath(folder / module)}:{function}")


def _missing_files(data: dict[str, Any], origin: Mapping[str, str], file: str) -> Iterator[Problem]:
    """Find the paths that lead nowhere, once all settings are laid over one another."""
    named = {key: _get(data, key) for key in _PATHS if not _remote(data, key)}
    named |= {key: _callable_file(data, key)[0] or None for key in _CALLABLES}
    for key, path in named.items():
        if isinstance(path, str) and not os.path.exists(path):
            message = f"there is no file or folder {path}"
            source = origin.get(dotted(key), file)
            yield Problem(source=source, key=dotted(key), message=message)


def _arms(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Find the arms of a comparison that say where their parameters are."""
    for name in ("arms", "learned"):
        found = _get(data, ("compare", name))
        for arm in found if isinstance(found, list) else ():
            if isinstance(arm, dict) and isinstance(arm.get("parameters"), str):
                yield arm


def _remote(data: Mapping[str, Any], key: tuple[str, ...]) -> bool:
    return key[0] == "tasks" and _get(data, ("tasks", "kind")) == "huggingface"


def _callable_file(data: Mapping[str, Any], key: tuple[str, ...]) -> tuple[str, str, str]:
    """Return the parts of a `file.py:function`; empty where the value is none."""
    value = _get(data, key)
    parts = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return parts if parts[0].endswith(".py") else ("", "", "")


def _get(data: Mapping[str, Any], key: tuple[str, ...]) -> Any:
    value: Any = data
    for part in key:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
