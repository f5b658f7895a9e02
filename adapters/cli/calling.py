"""The command `call`: one function of a file, called in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from ...engine.errors import ConfigError, InvalidReply
from ...engine.functions import Function
from ...engine.ports import CallResult
from ...engine.schemas import validate_arguments
from ..config import Config, SandboxConfig, load_sandbox
from ..exporters.reading import read_function
from ..views.text import duration, printable
from .output import DONE, FAILED, print_json, say, show


def call(file: Path, name: str, arguments: str, overrides: Sequence[str], *, as_json: bool) -> int:
    """Call a function; exit code 0 if it returned a value.

    Raises:
        ConfigError: The file holds no such function, or the arguments are no JSON object.
        SandboxUnavailable: No sandbox works on this machine.
    """
    function = read_function(file, name)
    values = _read_arguments(arguments)
    settings = load_sandbox(overrides=overrides)
    try:
        validate_arguments(function.arguments, values)
    except InvalidReply as error:
        result = CallResult(outcome="refused", error=str(error))
    else:
        result = anyio.run(_call, function, values, settings)
    if as_json:
        print_json(
            {
                "outcome": result.outcome,
                "value": result.value,
                "error": result.error or None,
                "stdout": result.stdout,
                "elapsed_s": result.elapsed_s,
            }
        )
    else:
        _show(result)
    return DONE if result.outcome == "value" else FAILED


async def _call(
    function: Function, values: Mapping[str, Any], settings: SandboxConfig
) -> CallResult:
    from ..parts import sandbox_settings
    from ..sandboxes.opening import open_sandbox

    # only what the file imports is loaded beforehand; what is not allowed stays refused
    packages = tuple(name for name in settings.packages if name in function.packages)
    sandbox_config = settings.model_copy(update={"packages": packages})
    config = Config.model_construct(sandbox=sandbox_config, seed=0)  # no more of it is read
    async with open_sandbox(sandbox_settings(config)) as sandbox:
        return await sandbox.call(function, values)


def _read_arguments(text: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid JSON: {error}", key="--args") from None
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise ConfigError(f'must be a JSON object such as {{"x": 1}}, not a {kind}', key="--args")
    return values


def _show(result: CallResult) -> None:
    if result.stdout:
        say(printable(result.stdout.rstrip("\n"), keep="\n\t"))
    if result.outcome == "value":
        show(json.dumps(result.value, ensure_ascii=True))
    else:
        say(f"{result.outcome}: {printable(result.error, keep=chr(10))}", style="red")
    say(duration(result.elapsed_s), style="dim")
