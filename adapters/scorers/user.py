"""A person's own scorer, named in the config as `module:function` or `file.py:function`."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ...engine.episode import Episode, Score
from ...engine.errors import ConfigError
from ...engine.ports import Scorer
from ...engine.tasks import Task
from .settings import ScorerSettings

Own = Callable[..., Any]
"""Called with (task, episode) and the configured options; may be async.

Returns a number in [0, 1], a truth value or a `Score`. Reads all of the episode: its answer, its
messages, its function calls.
"""


def own_scorer(settings: ScorerSettings) -> Scorer:
    """Load a person's scorer.

    Raises:
        ConfigError: There is no such module, file or function, or it does not take the options.
    """
    function = load(settings.kind)
    _check_signature(function, settings)
    options = dict(settings.options)
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - asks whether it is async, not callable
    )

    async def score(task: Task, episode: Episode) -> Score:
        if is_async:
            found = await function(task, episode, **options)
        else:
            found = await _in_thread(function, task, episode, options)
            if isinstance(found, Awaitable):
                found = await found
        return found if isinstance(found, Score) else Score(value=_number(found))

    return score


def load(name: str) -> Own:
    """Import what `module:function` or `file.py:function` names.

    Raises:
        ConfigError: It cannot be; says why.
    """
    source, _, attribute = name.rpartition(":")
    try:
        module = _load_file(Path(source)) if source.endswith(".py") else _load_module(source)
    except ConfigError:
        raise
    except Exception as error:  # whatever a person's module does while it is imported
        raise ConfigError(
            f"{source} cannot be imported: {type(error).__name__}: {error}", key="scorer.kind"
        ) from error
    function: Own | None = getattr(module, attribute, None)
    if not callable(function):
        names = sorted(n for n, value in vars(module).items()
                       if callable(value) and not n.startswith("_"))  # fmt: skip
        raise ConfigError(
            f"{source} has no function {attribute!r}; it has {', '.join(names[:20]) or 'none'}",
            key="scorer.kind",
        )
    return function


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", key="scorer.kind")
    spec = importlib.util.spec_from_file_location(f"funcforge_scorer_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file", key="scorer.kind")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in it look their module up
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"there is no module {error.name!r}; a file of yours is named file.py:function",
            key="scorer.kind",
        ) from None


def _check_signature(function: Own, settings: ScorerSettings) -> None:
    try:
        inspect.signature(function).bind(None, None, **settings.options)
    except TypeError as error:
        raise ConfigError(
            f"{settings.kind} must take (task, episode) and the options: {error}",
            key="scorer.options",
        ) from None
    except ValueError:
        return  # some callables written in C have no signature


async def _in_thread(
    function: Own, task: Task, episode: Episode, options: Mapping[str, Any]
) -> Any:
    """Call it in a thread of its own.

    One that hangs cannot be ended: it is left behind, and the verdict fails by its deadline. It is
    a daemon, so that the process can end all the same, and of no pool that others wait for.
    """
    loop = asyncio.get_running_loop()
    verdict: asyncio.Future[Any] = loop.create_future()

    def settle(found: Any, error: BaseException | None) -> None:
        if verdict.done():
            return  # nobody waits any more
        if error is None:
            verdict.set_result(found)
        else:
            verdict.set_exception(error)

    def call() -> None:
        found: Any = None
        error: BaseException | None = None
        try:
            found = function(task, episode, **options)
        except (StopIteration, SystemExit, KeyboardInterrupt) as raised:
            # the first no future takes, and the others are not the scorer's to raise
            error = RuntimeError(f"{type(raised).__name__} in the scorer")
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, error)

    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(call,), name=f"scorer of {task.id[:60]}", daemon=True
    ).start()
    return await verdict


def _number(found: Any) -> float:
    if isinstance(found, bool | int | float):
        return float(found)
    raise TypeError(
        f"the scorer returned {found!r:.200}; a number in [0, 1], a truth value or a Score is due"
    )
