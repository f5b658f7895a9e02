"""The commands that run something: train, evaluate, resume."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from ...engine.errors import ConfigError, FuncforgeError, RunNotFound, RunOwned, ours_in
from ..config import Config, load_config, load_record
from ..loop import run_loop
from ..opening import Opening
from .output import DONE, EXIT_CODES, FAILED, INTERRUPTED, colours, print_json, report_error, say
from .planning import undecidable
from .signals import stopping

if TYPE_CHECKING:
    from ...engine.parameters import Parameters
    from ...engine.ports import EventSink
    from ...engine.run import Run

    OpenRun = Callable[[Opening], AbstractAsyncContextManager[Run[Any]]]


_ADAPTERS = __package__.rpartition(".")[0]


def train(config: Path, overrides: Sequence[str], *, as_json: bool, quiet: bool) -> int:
    """Train from a config file.

    Raises:
        FuncforgeError: Nothing was run: the config, the sandbox or the database cannot be used.
    """
    settings = load_config(config, overrides=overrides)
    if (reason := undecidable(settings)) is not None:
        say(f"warning: {reason}", style="yellow")
    return run_to_end(settings, _training(settings), Opening(), as_json, quiet)


def evaluate(
    subject: str, overrides: Sequence[str], *, store: str | None, as_json: bool, quiet: bool
) -> int:
    """Score the parameters that a config names, or the best ones of a run.

    Raises:
        FuncforgeError: Nothing was run.
    """
    if subject.endswith(".toml") or Path(subject).is_file():
        config = load_config(subject, overrides=overrides, purpose="evaluate")
        return run_to_end(config, _evaluation(config, None), Opening(), as_json, quiet)
    from .stored import open_reader, read_story

    reader = open_reader(store)
    story = read_story(reader, reader.resolve(subject))
    overrides = [*overrides, f"store.path={reader.path}"]
    config = load_record(story.config, overrides=overrides, purpose="evaluate")
    parameters = story.final
    if config.parameters and any(one.partition("=")[0] == "parameters" for one in overrides):
        from ..exporters.json import read_parameters

        parameters = read_parameters(config.parameters)
    return run_to_end(config, _evaluation(config, parameters), Opening(), as_json, quiet)


def resume(
    run: str, overrides: Sequence[str], *, store: str | None, as_json: bool, quiet: bool
) -> int:
    """Go on with a stopped run.

    Raises:
        FuncforgeError: Nothing was run.
    """
    from .stored import open_reader, read_story

    reader = open_reader(store)
    story = read_story(reader, reader.resolve(run))
    if story.status == "done":
        raise ConfigError(f"run {story.run_id} is done: there is nothing to resume")
    # the database is where it was found, whatever folder the record was written from
    overrides = [*overrides, f"store.path={reader.path}"]
    opening = Opening(run_id=story.run_id, resume=True)
    if story.kind == "train":
        config = load_record(story.config, overrides=overrides)
        return run_to_end(config, _training(config), opening, as_json, quiet)
    if story.kind == "compare":
        config = load_record(story.config, overrides=overrides, purpose="compare")
        from ..wiring import open_comparison

        return run_to_end(config, partial(open_comparison, config), opening, as_json, quiet)
    config = load_record(story.config, overrides=overrides, purpose="evaluate")
    return run_to_end(config, _evaluation(config, story.initial), opening, as_json, quiet)


def _training(config: Config) -> OpenRun:
    """Return what opens a training; the engine is imported then, behind the first view."""

    def open_run(opening: Opening) -> AbstractAsyncContextManager[Run[Any]]:
        from ..wiring import open_training

        return open_training(config, opening)

    return open_run


def _evaluation(config: Config, parameters: Parameters | None) -> OpenRun:
    """Return what opens an evaluation."""

    def open_run(opening: Opening) -> AbstractAsyncContextManager[Run[Any]]:
        from ..wiring import open_evaluation

        return open_evaluation(config, parameters, opening)

    return open_run


@dataclass(slots=True)
class _Watched:
    """What is known of the run from outside of the event loop."""

    run: Run[Any] | None = None  # None: not opened yet


def run_to_end(
    config: Config,
    open_run: OpenRun,
    opening: Opening,
    as_json: bool,
    quiet: bool,
    report: Path | None = None,
) -> int:
    """Run under the views and the signals, tell how it ended, and return the exit code.

    Args:
        config: Of the run.
        open_run: Opens it.
        opening: How it is opened.
        as_json: Whether one JSON object goes to stdout.
        quiet: Whether nothing is told on the way.
        report: Where a comparison's page is written; None: beside the database.

    Raises:
        FuncforgeError: Nothing was run.
    """
    watched = _Watched()
    try:
        run_loop(_watch, watched, config, open_run, opening, quiet)
    except Exception as raised:
        error = ours_in(raised)
        if error is None:
            raise
        if watched.run is None or isinstance(error, RunOwned):
            raise error from None  # nothing was run
        report_error(error, as_json=as_json)
        return FAILED
    from .stored import open_reader, read_story
    from .summary import evaluation_json, run_json, say_summary

    run = watched.run
    try:
        story = None if run is None else read_story(open_reader(config.store.path), run.id)
    except RunNotFound:
        story = None  # stopped while it was opened
    if run is None or story is None:
        error = FuncforgeError("interrupted before the run began: there is nothing to resume")
        report_error(error, as_json=as_json)
        return INTERRUPTED
    gate_failed = False
    if story.kind == "compare":
        from .comparing import tell_run

        reader = open_reader(config.store.path)
        gate_failed = tell_run(reader, run.id, report=report, as_json=as_json, quiet=quiet)
    elif as_json:
        print_json(evaluation_json(story) if story.kind == "evaluate" else run_json(story))
    if not (quiet and as_json):
        say_summary(story, config.store.path)
    code = INTERRUPTED if run.outcome is None else EXIT_CODES.get(run.outcome.status, FAILED)
    return FAILED if code == DONE and gate_failed else code


async def _watch(
    watched: _Watched, config: Config, open_run: OpenRun, opening: Opening, quiet: bool
) -> None:
    """Run to the end under the views and the signals."""
    async with stopping() as stopper, AsyncExitStack() as stack:
        screens = await _open_views(config, stack, quiet)
        # a tenth of a second or more, in which the view is drawn and signals are heard
        await anyio.to_thread.run_sync(importlib.import_module, f"{_ADAPTERS}.wiring")
        run = await stack.enter_async_context(open_run(replace(opening, screens=screens)))
        watched.run = run
        stopper.drain_with(run.stop)
        await run.wait()


async def _open_views(config: Config, stack: AsyncExitStack, quiet: bool) -> list[EventSink]:
    screens: list[EventSink] = []
    if not quiet and colours(to_stdout=False):
        from rich.console import Console

        from ..views.live import LiveView
        from ..views.tracking import RunState

        training = config.training
        state = RunState(in_flight_limit=config.limits.in_flight, deciding=training.accept_on)
        view = LiveView(
            Console(stderr=True),
            state,
            epochs=training.epochs,
            patience=training.patience if training.early_stop else None,
        )
        screens.append(await stack.enter_async_context(view))
    elif not quiet:
        from ..views.plain import PlainView

        screens.append(PlainView(sys.stderr))
    if not (quiet or config.log.file or config.log.level in ("debug", "info")):
        return screens  # the views tell of warnings too: nothing is said twice
    from ..views.log import LogSink

    log = LogSink(level=config.log.level, form=config.log.format, file=config.log.file)
    screens.append(stack.enter_context(log))
    return screens
