"""Parameters as they are stored: what `parameters = "file.json"` in a config reads back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import ConfigError
from ...engine.parameters import Parameters


def export_json(parameters: Parameters) -> str:
    """Return the parameters as JSON text."""
    # ASCII, so that even a lone surrogate in a model's text can be written
    return json.dumps(parameters.to_json(), indent=2, sort_keys=True) + "\n"


def read_parameters(path: str | Path) -> Parameters:
    """Read what `export_json` wrote.

    Raises:
        ConfigError: The file is missing, no JSON, or of another form.
    """
    try:
        data: Any = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid JSON: {error}", file=str(path)) from None
    try:
        if not isinstance(data, Mapping):
            raise TypeError("it is no object")
        parameters = Parameters.from_json(data)
        parameters.version  # noqa: B018 - hashing touches every value
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"holds no parameters ({what}): write it with `funcforge export RUN --format json`",
            file=str(path),
        ) from None
    return parameters
