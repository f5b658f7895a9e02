"""Opens task sets as a config describes them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ...engine.errors import ConfigError, TaskError
from ...engine.task_sets import PickedTaskSet, SplitSize, duplicates, split
from ...engine.tasks import Split, Splits
from .gaia import GaiaReader
from .gsm8k import Gsm8kReader
from .indexed import FileTaskSet
from .math import MathReader, problem_files
from .records import CsvRecords, JsonLines, Records, SpooledLines
from .rows import MappedReader, Reader
from .settings import SourceSettings, TaskSettings
from .tables import hub_rows, parquet_rows
from .tabmwp import TableFiles, TabmwpReader, problems


def load_task_set(settings: SourceSettings) -> FileTaskSet:
    """Index a set of tasks. Every row is checked here; prompts stay in their file.

    Raises:
        TaskError: The file or a row of it is wrong; names the file, the line and the field.
        ConfigError: A setting is wrong, or an extra is not installed.
    """
    path = Path(settings.path)
    if settings.kind != "huggingface" and not path.exists():
        raise TaskError("there is no such file", file=settings.path)
    return FileTaskSet(
        _records(settings, path),
        _reader(settings, path),
        stem=path.stem if settings.split is None else settings.split,
        limit=settings.limit,
        group="group" if settings.kind == "api_bank" else None,
        **({"finish": TableFiles()} if settings.kind == "tabmwp" else {}),
    )


def load_splits(settings: TaskSettings, seed: int) -> Splits:
    """Open the task sets of a run.

    Splits that name the same source are drawn from it by seed, the sealed test first; a split
    with a file of its own is drawn from that.

    Raises:
        TaskError: As `load_task_set`; or a split is impossible, or a task stands in two splits.
        ConfigError: As `load_task_set`; or there is no split, or no path for one.
    """
    if not settings.splits:
        raise ConfigError("set at least one of train, validation and test", key="tasks")
    pools: dict[tuple[str, str | None], dict[Split, SplitSize]] = {}
    for name, wanted in settings.splits.items():
        path = wanted.path or settings.path
        if path is None:
            raise ConfigError(
                "there is no file: set tasks.path or a path here", key=f"tasks.{name}"
            )
        size = SplitSize(count=wanted.count, categories=frozenset(wanted.categories))
        pools.setdefault((path, wanted.split), {})[name] = size
    found: dict[Split, PickedTaskSet] = {}
    for (path, split_name), sizes in pools.items():
        tasks = load_task_set(_source(settings, path, split_name))
        drawn = split(tasks, sizes, seed=seed, stratify=settings.stratify, source=path)
        for name in sizes:
            picked = getattr(drawn, name)
            assert isinstance(picked, PickedTaskSet)
            only = settings.splits[name].only
            found[name] = picked.only(only, name) if only else picked
    if len(pools) > 1:
        _check_disjoint(found)
    return Splits(**found)


def _source(settings: TaskSettings, path: str, split_name: str | None) -> SourceSettings:
    return SourceSettings(
        path=path,
        kind=settings.kind,
        subset=settings.subset,
        split=split_name,
        fields=settings.fields,
        category=settings.category,
        limit=settings.limit,
        needs_target=settings.needs_target,
    )


def _records(settings: SourceSettings, path: Path) -> Records:
    match settings.kind:
        case "csv":
            return CsvRecords(path)
        case "huggingface":
            rows = hub_rows(settings.path, settings.subset, settings.split)
        case "tabmwp":
            rows = problems(path)
        case "api_bank":
            from .api_bank import api_bank_rows

            rows = api_bank_rows(path, settings.subset)
        case "math" if path.is_dir():
            rows = problem_files(path)
        case _ if path.suffix.lower() == ".parquet" or settings.kind == "parquet":
            rows = parquet_rows(path)
        case _:
            return JsonLines(path)
    return SpooledLines(settings.path, islice(rows, settings.limit))


def _reader(settings: SourceSettings, path: Path) -> Reader:
    needed = settings.needs_target
    match settings.kind:
        case "gsm8k":
            return Gsm8kReader(needs_target=needed)
        case "math":
            return MathReader(needs_target=needed)
        case "tabmwp":
            return TabmwpReader(needs_target=needed)
        case "gaia":
            return GaiaReader(folder=path.parent, needs_target=needed)
        case "api_bank":
            from .api_bank import ApiBankReader

            return ApiBankReader()
    return MappedReader(settings)


def _check_disjoint(splits: dict[Split, PickedTaskSet]) -> None:
    """Refuse a task that stands in the files of two splits: what is learned would be tested."""
    names = [name for name, tasks in splits.items() for _ in range(len(tasks))]
    keys = [key for tasks in splits.values() for key in tasks.keys]
    twins = duplicates(keys)
    if twins:
        later = twins[0]
        first = names[keys.index(keys[later])]
        raise TaskError(
            f"{len(twins)} ids stand in the files of two splits, such as {first} and "
            f"{names[later]}; give the tasks different ids, or draw the splits from one file",
            key="tasks",
        )
