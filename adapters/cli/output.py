"""What goes where: one JSON object to stdout, text for people to stderr, and the exit code."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ...engine.errors import FuncforgeError
from ...engine.usage import Usage
from ..secrets import redactor
from ..views.text import printable

DONE, FAILED, USAGE, PAUSED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = {"done": DONE, "failed": FAILED, "paused": PAUSED, "interrupted": INTERRUPTED}


def print_json(value: Mapping[str, Any]) -> None:
    """Print the one machine-readable object. ASCII, so that every text can be printed."""
    json.dump(_finite(value), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def say(text: str = "", *, style: str = "") -> None:
    """Print text for people to stderr; colours where it is a terminal."""
    _write(text, style, to_stdout=False)


def show(text: str = "", *, style: str = "") -> None:
    """Print what was asked for to stdout: a list, a diff, a curve."""
    _write(text, style, to_stdout=True)


def show_cells(cells: Sequence[tuple[str, str]]) -> None:
    """Print one line of several styles to stdout."""
    if not colours(to_stdout=True):
        _write("".join(text for text, _ in cells).rstrip(), "", to_stdout=True)
        return
    from rich.console import Console
    from rich.text import Text

    Console(file=sys.stdout).print(Text.assemble(*cells), soft_wrap=True)


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return what was used."""
    return {
        "calls": usage.calls,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "cost_usd": usage.cost_usd,
    }


def report_error(error: FuncforgeError, *, as_json: bool) -> None:
    """Print an error for a person, and for a program where it asked for JSON."""
    message = redactor()(str(error))
    if as_json:
        print_json({"error": {"kind": type(error).__name__, "message": message}})
    say(f"error: {printable(message, keep=chr(10))}", style="red")


def _write(text: str, style: str, *, to_stdout: bool) -> None:
    stream = sys.stdout if to_stdout else sys.stderr
    encoding = stream.encoding or "utf-8"
    text = text.encode(encoding, "replace").decode(encoding)
    if style and colours(to_stdout=to_stdout):
        from rich.console import Console
        from rich.text import Text

        Console(file=stream).print(Text(text, style=style), soft_wrap=True)
    else:
        stream.write(f"{text}\n")


def colours(*, to_stdout: bool) -> bool:
    """Whether a stream takes colours: a terminal, and NO_COLOR is not set."""
    stream = sys.stdout if to_stdout else sys.stderr
    wanted = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


def _finite(value: Any) -> Any:
    """JSON has no NaN: a score of nothing is null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
