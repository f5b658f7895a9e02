"""Fill `.dev/funcforge/` with links, so that an editable install has the package's real name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = ("engine", "adapters", "storage", "__init__.py", "__main__.py", "py.typed")


class LinkHook(BuildHookInterface[Any]):
    """Runs at every build; acts on editable ones."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the links anew."""
        if version != "editable":
            return
        package = Path(self.root, ".dev", "funcforge")
        package.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            link = package / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path("..", "..", name))
