"""Rows of Parquet files and of Hugging Face data sets, both behind extras."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ...engine.errors import ConfigError, TaskError
from .records import Values

_BATCH_ROWS = 1024


def parquet_rows(path: Path) -> Iterator[Values]:
    """Read a Parquet file batch by batch.

    Raises:
        ConfigError: pyarrow is not installed.
        TaskError: It is no Parquet file.
    """
    try:
        pyarrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            'Parquet files need pyarrow; install it with: pip install "funcforge[parquet]"',
            file=str(path),
        ) from None
    try:
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise TaskError(f"cannot be read as Parquet: {error}", file=str(path)) from None
    with file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            yield from batch.to_pylist()


def hub_rows(path: str, subset: str | None, split: str | None) -> Iterator[Values]:
    """Read a data set of the Hugging Face hub, or a local folder of its files.

    Raises:
        ConfigError: `datasets` is not installed, no split is named, the set cannot be loaded.
    """
    try:
        datasets = import_module("datasets")
    except ImportError:
        raise ConfigError(
            "Hugging Face data sets need datasets; install it with: "
            'pip install "funcforge[huggingface]"',
            file=path,
        ) from None
    try:
        found: Any = datasets.load_dataset(path, name=subset)
    except Exception as error:  # the library raises what it likes: network, access, format
        raise ConfigError(f"cannot be loaded: {type(error).__name__}: {error}", file=path) from None
    names = list(found)
    if split is None and len(names) == 1:
        split = names[0]
    if split not in names:
        shown = ", ".join(map(str, names))
        wrong = "no split is named" if split is None else f"there is no split {split!r}"
        raise ConfigError(f"{wrong}; the splits are {shown}", file=path)
    yield from found[split]
