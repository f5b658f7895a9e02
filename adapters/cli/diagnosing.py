"""The command `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..doctor import Check, check_config, check_machine
from ..views.text import printable
from .output import DONE, FAILED, print_json, say, show

_MARKS = {"ok": ("✓", "green"), "missing": ("✗", "bold red"), "optional": ("–", "yellow")}


def doctor(config: Path | None, overrides: Sequence[str], *, as_json: bool) -> int:
    """Check the machine, and a config if one is given; exit code 1 if something is missing.

    Raises:
        ConfigError: The config cannot be read.
    """
    checks = list(check_machine())
    if config is not None:
        from ..config import load_config

        checks += check_config(load_config(config, overrides=overrides, purpose="evaluate"))
    missing = [check for check in checks if check.state == "missing"]
    if as_json:
        print_json(
            {
                "ok": not missing,
                "checks": [
                    {"name": c.name, "state": c.state, "detail": c.detail, "fix": c.fix or None}
                    for c in checks
                ],
            }
        )
    else:
        for check in checks:
            _show(check)
        say()
        say("everything needed is here" if not missing else f"{len(missing)} missing")
    return FAILED if missing else DONE


def _show(check: Check) -> None:
    mark, style = _MARKS[check.state]
    show(f"{mark} {check.name:<18} {printable(check.detail)}", style=style)
    if check.fix and check.state != "ok":
        show(f"  {'':<18} {printable(check.fix)}")
