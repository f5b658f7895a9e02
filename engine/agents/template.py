"""Prompts as files with `{{placeholders}}`, checked before the first call is paid for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import ConfigError

# double braces: single ones and dollars stand in LaTeX and JSON everywhere
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def read_prompt(name: str) -> str:
    """Return a prompt that comes with the package, such as "react.md"."""
    return (files(__package__) / "prompts" / name).read_text(encoding="utf-8")


@cache
def phrases() -> Mapping[str, Any]:
    """Return the short texts of `phrases.toml`."""
    return tomllib.loads(read_prompt("phrases.toml"))


def check_prompt(
    text: str,
    placeholders: Collection[str],
    *,
    optional: Collection[str] = (),
    file: str | None = None,
) -> str:
    """Return a prompt unchanged if it has every placeholder and no other.

    Args:
        optional: Placeholders that it may have beside those.

    Raises:
        ConfigError: Names the placeholders that are missing or unknown.
    """
    found = set(_PLACEHOLDER.findall(text))
    named = _spell(placeholders)
    missing = [name for name in placeholders if name not in found]
    if missing:
        raise ConfigError(f"the prompt lacks {_spell(missing)}; it needs {named}", file=file)
    unknown = sorted(found - set(placeholders) - set(optional))
    if unknown:
        may = f" and may have {_spell(optional)}" if optional else ""
        raise ConfigError(
            f"the prompt has an unknown placeholder, {_spell(unknown)}; it needs {named}{may}",
            file=file,
        )
    return text


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of their placeholders; what the values hold is left alone."""
    filled = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)
    return re.sub(r"\n{3,}", "\n\n", filled).strip()


def _spell(names: Collection[str]) -> str:
    return ", ".join("{{" + name + "}}" for name in names)
