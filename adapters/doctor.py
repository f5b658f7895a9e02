"""What funcforge needs of a machine and of a config, checked without spending anything."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..engine.episode import Episode, Job, Score
from ..engine.errors import FuncforgeError
from ..engine.messages import Message, Reply, Request
from ..engine.tasks import Task

if TYPE_CHECKING:
    from .config import Config
    from .scorers.make import FencedScorer

_NOT_TRIED = ("model_graded", "api_bank")  # one asks its model, the other needs its world
State = Literal["ok", "missing", "optional"]

_OLDEST_PYTHON = (3, 11)
_OLDEST_SQLITE = (3, 35, 0)
_NEEDED = ("anyio", "litellm", "mcp", "aiohttp", "aiosqlite", "pydantic", "jsonschema", "scipy")
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY",
         "GROQ_API_KEY", "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "TOGETHERAI_API_KEY",
         "AZURE_API_KEY")  # fmt: skip
_VARIABLE = re.compile(r"set the environment variable (\w+)")  # as our errors say it
_MANAGERS = {  # program -> how it installs
    "apt-get": "apt-get install -y {}",
    "dnf": "dnf install -y {}",
    "pacman": "pacman -S --noconfirm {}",
    "zypper": "zypper install -y {}",
    "apk": "apk add {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State  # optional: runs may do without it
    detail: str
    fix: str = ""  # a command, or what to change; empty: nothing to do


def check_machine(environ: Mapping[str, str] | None = None) -> Iterator[Check]:
    """Check the interpreter, packages, database, sandbox and keys of this machine."""
    yield _python()
    yield from _packages()
    yield _sqlite()
    yield _keys(os.environ if environ is None else environ)
    yield _finetune()
    yield from _sandboxes()  # last: it starts processes


def check_config(config: Config) -> Iterator[Check]:
    """Check what a config refers to: tasks and splits, scorer, agent, models and their keys.

    The config itself, its files and prompts were checked by loading it. No model is asked.
    """
    from . import parts

    yield _try("tasks", lambda: _count_tasks(config))
    yield _scorer(config)
    if (world := config.environment) is not None:
        yield _try("environment", lambda: _made(parts.make_environment(config), world.kind))
    yield _try("agent", lambda: _made(parts.make_agent(config), config.agent.kind))
    if config.tasks.train is not None:
        yield _try("optimizer", lambda: _made(parts.make_optimizer(config), config.optimizer.kind))
    yield from _models(config)
    yield _writable(Path(config.store.path))


def install_command(package: str) -> str:
    """Return the command that installs a system package here."""
    found = next((how for program, how in _MANAGERS.items() if shutil.which(program)), None)
    command = (found or "install the package {}").format(package)
    return command if found is None or os.geteuid() == 0 else f"sudo {command}"


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info[:2] >= _OLDEST_PYTHON:
        return Check(name="python", state="ok", detail=version)
    wanted = ".".join(map(str, _OLDEST_PYTHON))
    return Check(
        name="python", state="missing", detail=f"{version}, older than {wanted}",
        fix=install_command("python3"),
    )  # fmt: skip


def _packages() -> Iterator[Check]:
    missing = []
    found = []
    for name in _NEEDED:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Check(
            name="packages", state="missing", detail=f"not installed: {', '.join(missing)}",
            fix=f"{sys.executable} -m pip install {' '.join(missing)}",
        )  # fmt: skip
    else:
        yield Check(name="packages", state="ok", detail=", ".join(found))


def _sqlite() -> Check:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        wanted = ".".join(map(str, _OLDEST_SQLITE))
        return Check(
            name="sqlite", state="missing", detail=f"{version}, older than {wanted}",
            fix="use a Python that was built with a newer SQLite",
        )  # fmt: skip
    return Check(name="sqlite", state="ok", detail=version)


def _finetune() -> Check:
    from .local.process import INSTALL, NEEDED, missing_packages

    missing = missing_packages()
    if missing:
        return Check(
            name="fine-tuning here", state="optional", fix=INSTALL,
            detail=f"not installed: {', '.join(missing)}; providers' services need none of it",
        )  # fmt: skip
    found = ", ".join(f"{name} {metadata.version(name)}" for name in NEEDED)
    return Check(name="fine-tuning here", state="ok", detail=found)


def _sandboxes() -> Iterator[Check]:
    import anyio

    from .sandboxes.opening import probe_backends

    found = [one for one in anyio.run(probe_backends) if one.name != "unsafe"]
    usable = any(one.works for one in found)
    for one in found:
        state: State = "ok" if one.works else "optional" if usable else "missing"
        yield Check(name=f"sandbox {one.name}", state=state, detail=one.reason, fix=one.fix)


def _keys(environ: Mapping[str, str]) -> Check:
    present = [name for name in _KEYS if environ.get(name)]
    if present:
        return Check(name="keys", state="ok", detail=f"{', '.join(present)} set")
    return Check(
        name="keys",
        state="optional",
        detail="no provider's key is set; embedded/apprentice and local models need none",
        fix="export OPENAI_API_KEY=...",
    )


def _models(config: Config) -> Iterator[Check]:
    wanted: dict[str, str] = {}
    if config.compare:
        for arm in config.compare.all_arms():
            if arm.recorded is not None:
                continue
            wanted.setdefault(arm.model or config.agent.model, f"arm {arm.name}")
    else:
        wanted = {config.agent.model: "agent"}
        wanted.setdefault(config.optimizer_model, "optimizer")
    if config.scorer.model:
        wanted.setdefault(config.scorer.model, "scorer")
    if config.critic:
        wanted.setdefault(config.critic.model, "critic")
    from . import providers

    for model, role in wanted.items():
        yield _try(
            f"model of the {role}",
            lambda model=model: providers.describe_model(config, model),  # type: ignore[misc]
        )


def _count_tasks(config: Config) -> str:
    from . import parts

    splits = parts.load_tasks(config)
    found = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return ", ".join(f"{len(tasks):,} {name}" for name, tasks in found.items() if tasks is not None)


def _scorer(config: Config) -> Check:
    """Build the scorer, and let it judge the right answer of the first task: it costs nothing."""
    kind = config.scorer.kind
    fix = ""

    def look() -> str:
        nonlocal fix
        from . import parts

        scorer = parts.make_scorer(config, _no_judge)
        if kind in _NOT_TRIED:
            return kind
        task = _first_task(config)
        if task is None or task.target is None:
            return kind
        score = _judge(scorer, task)
        if score.value < 1:
            fix = "look whether this scorer suits the targets"
        return f"{kind}; the right answer of task {task.id} scores {score.value:g}"

    check = _try("scorer", look)
    return replace(check, state="optional", fix=fix) if fix else check


async def _no_judge(scope: str, request: Request) -> Reply:
    """Stand for the judge of a scorer that is built and not used."""
    raise FuncforgeError("doctor asks no model")


def _first_task(config: Config) -> Task | None:
    from . import parts

    try:
        splits = parts.load_tasks(config)
    except FuncforgeError:
        return None  # told by the check of the tasks
    tasks = splits.train or splits.validation or splits.test
    return next(iter(tasks)) if tasks is not None else None


def _judge(scorer: FencedScorer, task: Task) -> Score:
    import anyio

    job = Job(evaluation="doctor/0", parameters_version="", task_id=task.id)
    episode = Episode(
        id=job.episode_id,
        run_id="doctor",
        job=job,
        prompt=task.prompt,
        messages=(
            Message(role="user", content=task.prompt),
            Message(role="assistant", content=task.target or ""),
        ),
        answer=task.target,
        end="answered",
    )

    async def judge() -> Score:
        async with scorer:
            return await scorer(task, episode)

    return anyio.run(judge)


def _made(_part: object, kind: str) -> str:
    return kind  # that it could be built is the news


def _try(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, state="ok", detail=look())
    except FuncforgeError as error:
        unset = _VARIABLE.search(str(error))
        fix = f"export {unset[1]}=..." if unset else "see the message"
        return Check(name=name, state="missing", detail=str(error), fix=fix)


def _writable(path: Path) -> Check:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    try:
        if path.exists():
            with path.open("r+b"):
                pass
        else:
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        return Check(
            name="database", state="missing", detail=f"{path} cannot be written: {error.strerror}",
            fix="set store.path to a place that can be written",
        )  # fmt: skip
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    return Check(name="database", state="ok", detail=f"{path}, {free_mb:,} MB free")
