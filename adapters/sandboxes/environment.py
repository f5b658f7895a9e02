"""The packages that code in the sandbox can import: a folder of its own, built once.

It holds links to (or copies of) the files of the allowed packages, and of what those require, as
they are installed beside funcforge. Nothing is downloaded. The folder is named by its content, so
it stays valid offline, and another set of packages or versions gets another folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ...engine.canonical import content_hash
from .interpreter_files import InterpreterFiles

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)")
_UNWANTED = frozenset({"tests", "test"})  # half of the files, and no function needs them


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A folder to import from."""

    folder: Path
    packages: tuple[str, ...]  # allowed and there
    missing: tuple[str, ...]  # allowed but not installed here

    def refusal(self, wanted: Iterable[str]) -> str:
        """Return why a function that names these packages cannot run, or nothing."""
        for name in wanted:
            root = name.partition(".")[0]
            if root in self.packages or root in sys.stdlib_module_names:
                continue
            if root in self.missing:
                return f"package {root!r} is allowed but not installed here: pip install {root}"
            allowed = ", ".join(self.packages) or "none"
            return (
                f"package {root!r} is not allowed. Use the standard library or one of these "
                f"packages: {allowed}."
            )
        return ""


def build_environment(packages: Iterable[str], cache: Path | None = None) -> Environment:
    """Return the environment for a set of packages, building it if it is new.

    Takes some tenths of a second when it exists, else some seconds: call it in a thread.

    Args:
        packages: Import names.
        cache: Where environments are kept; None: the user's cache folder.
    """
    names = tuple(sorted(set(packages)))
    owners = metadata.packages_distributions() if names else {}
    missing = tuple(name for name in names if name not in owners)
    present = tuple(name for name in names if name in owners)
    distributions = _closure({dist for name in present for dist in owners[name]})
    key = content_hash([
        "layout 1",
        sys.version,
        sorted((d.metadata["Name"], d.version, content_hash(d.read_text("RECORD") or ""))
               for d in distributions),
    ])  # fmt: skip
    root = cache or default_cache()
    folder = root / key
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        _fill(folder, distributions)
    return Environment(folder=folder, packages=present, missing=missing)


def default_cache() -> Path:
    """Return the user's cache folder for environments, or a private temporary one."""
    named = os.environ.get("XDG_CACHE_HOME")
    base = Path(named) if named else Path(os.path.expanduser("~")) / ".cache"
    with contextlib.suppress(OSError):
        folder = base / "funcforge" / "environments"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir()) / f"funcforge-{os.getuid()}" / "environments"


def _closure(names: set[str]) -> list[metadata.Distribution]:
    """Return the distributions with all that they require and that is installed."""
    found: dict[str, metadata.Distribution] = {}
    pending = sorted(names)
    while pending:
        name = pending.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[key] = distribution
        for requirement in distribution.requires or ():
            text, _, condition = requirement.partition(";")
            match = _REQUIREMENT.match(text)
            if match and "extra" not in condition:
                pending.append(match.group(1))
    return [found[key] for key in sorted(found)]


def _fill(folder: Path, distributions: Iterable[metadata.Distribution]) -> None:
    """Build beside the final place, then move: a folder that exists is complete."""
    building = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        for distribution in distributions:
            for file in distribution.files or ():
                if ".." in file.parts or _UNWANTED & set(file.parts[:-1]):
                    continue
                source = Path(str(distribution.locate_file(file)))
                if source.is_file():
                    _place(source, building / file)
        # without bytecode a start takes seconds, and the sandbox itself cannot write any
        program = InterpreterFiles.of_this_process().program
        compiling = [str(program), "-S", "-m", "compileall", "-q", "-j", "0", str(building)]
        # no input but our own paths
        subprocess.run(compiling, check=False, capture_output=True, env={})  # noqa: S603
        building.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was faster; its folder is the same
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
    if source.suffix == ".py" and compiled.is_file():
        folder = target.parent / "__pycache__"
        folder.mkdir(exist_ok=True)
        shutil.copy2(compiled, folder / compiled.name)
