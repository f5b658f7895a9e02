"""The command `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..doctor import Check, check_config, check_machine
from ..views.text import gist, printable
from .output import DONE, FAILED, print_json, say, show

_MARKS = {"ok": ("✓", "green"), "missing": ("✗", "bold red"), "optional": ("–", "yellow")}


def doctor(config: Path | None, overrides: Sequence[str], *, as_json: bool) -> int:
    """Check the machine, and a config if one is given; exit code 1 if something is missing.

    Raises:
        ConfigError: The config cannot be read.
    """
    found: list[Check] = []
    for check in _checks(config, overrides):
        found.append(check)
        if not as_json:
            _show(check)  # as they come: the sandbox takes a moment
    missing = [check for check in found if check.state == "missing"]
    if as_json:
        print_json(
            {
                "ok": not missing,
                "checks": [
                    {"name": c.name, "state": c.state, "detail": c.detail, "fix": c.fix or None}
                    for c in found
                ],
            }
        )
    else:
        say("everything needed is here" if not missing else f"{len(missing)} missing")
    return FAILED if missing else DONE


def _checks(config: Path | None, overrides: Sequence[str]) -> Iterator[Check]:
    if config is None:
        yield from check_machine()
        return
    from ..config import load_config

    settings = load_config(config, overrides=overrides, purpose="evaluate")
    yield from check_machine()
    yield from check_config(settings)


def _show(check: Check) -> None:
    mark, style = _MARKS[check.state]
    show(f"{mark} {check.name:<18} {printable(gist(check.detail))}", style=style)
    if check.fix and check.state != "ok":
        show(f"  {'':<18} {printable(check.fix)}")
    sys.stdout.flush()
