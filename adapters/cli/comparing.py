"""The command `compare`, and what `resume` and `show` tell of a comparison."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

from pydantic import ValidationError

from ...engine.errors import ConfigError
from ...storage.runs import RunReader
from ..config import CompareConfig, Config, load_config
from ..opening import Opening
from ..views.comparison.files import FILES
from ..views.comparison.heat import INK, shades
from ..views.comparison.story import ComparisonStory, read_comparison
from ..views.comparison.tables import Table, tables
from ..views.comparison.told import comparison_json
from ..views.lines import UNSAFE_WARNING
from ..views.text import duration, gist, one_line, plural, printable, usd
from ..wiring import open_comparison
from .output import DONE, colours, print_json, say, show
from .reading import write_file


def compare(
    config: Path,
    overrides: Sequence[str],
    *,
    fail_if: Sequence[str],
    strict: bool,
    html: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare arms from a config file.

    Raises:
        FuncforgeError: Nothing was run: the config, the sandbox or the database cannot be used.
    """
    from .running import run_to_end

    settings = with_gate(
        load_config(config, overrides=overrides, purpose="compare"), fail_if, strict
    )
    return run_to_end(
        settings, partial(open_comparison, settings), Opening(), as_json, quiet, report=html
    )


def with_gate(config: Config, fail_if: Sequence[str], strict: bool) -> Config:
    """Return the config with more conditions: they are recorded with the run.

    Raises:
        ConfigError: One is none, or names no arm.
    """
    assert config.compare is not None
    if not fail_if and not strict:
        return config
    data = config.compare.model_dump()
    data["fail_if"] = (*config.compare.fail_if, *fail_if)
    data["strict"] = strict or config.compare.strict
    try:
        return config.model_copy(update={"compare": CompareConfig.model_validate(data)})
    except ValidationError as error:
        raise ConfigError(str(error.errors()[0]["ctx"]["error"]), key="--fail-if") from None


def tell_run(
    reader: RunReader, run_id: str, *, report: Path | None, as_json: bool, quiet: bool
) -> bool:
    """Print a comparison that ended or stopped: JSON to stdout, tables to stderr.

    Returns:
        Whether it failed its regression gate.

    Raises:
        ConfigError: The report cannot be written where `report` says.
    """
    story = read_comparison(reader.view(run_id), reader.path)
    written = write_reports(story, reader.path, report)
    if as_json:
        print_json({**comparison_json(story), "report": written})
    if not (quiet and as_json):
        print_tables(story, to_stdout=False)
        if written is not None:
            say(f"report: {written}", style="cyan")
    return story.gate_failed


def show_run(reader: RunReader, run_id: str, *, report: Path | None, as_json: bool) -> int:
    """Show a stored comparison: JSON or tables, to stdout.

    Raises:
        ConfigError: The report cannot be written where `report` says.
    """
    story = read_comparison(reader.view(run_id), reader.path)
    written = write_reports(story, reader.path, report)
    if as_json:
        print_json({**comparison_json(story), "report": written})
    else:
        print_tables(story, to_stdout=True)
        if written is not None:
            show(f"report: {written}", style="cyan")
    return DONE


def write_reports(story: ComparisonStory, store: Path, report: Path | None) -> str | None:
    """Write the HTML page, with Markdown and CSV beside it; return the page's place.

    Raises:
        ConfigError: It cannot be written where `report` says.
    """
    place = report or store.parent / "reports" / f"{story.run.run_id}.html"
    from ..views.comparison.page import render_page

    try:
        write_file(place, render_page(story, store))
        for suffix, render in FILES.items():
            made = render(story, place.stem)
            if made is not None:
                write_file(place.with_suffix(suffix), made)
    except ConfigError as error:
        if report is not None:
            raise
        # a folder that is only read: the run can be told all the same
        say(f"no report: {error}; name another place with --html", style="yellow")
        return None
    return str(place)


def print_tables(story: ComparisonStory, *, to_stdout: bool) -> None:
    """Print all tables for people."""
    from rich.console import Console

    stream = sys.stdout if to_stdout else sys.stderr
    coloured = colours(to_stdout=to_stdout)
    console = Console(
        file=stream, no_color=not coloured, highlight=False, width=None if coloured else 200
    )
    run = story.run
    console.print(f"\n{_plain(run.name) or run.run_id}  {run.run_id}", style="bold", markup=False)
    stopped = f" ({run.stopped_by})" if run.stopped_by else ""
    console.print(
        f"compare {run.status}{stopped}: {plural(len(story.arms), 'arm')}, "
        f"{plural(story.tasks, 'task')} x {story.repeats}, seed {run.seed}, sandbox {run.sandbox}",
        markup=False,
    )
    if run.sandbox == "unsafe":
        console.print(UNSAFE_WARNING, style="bold red", markup=False)
    if run.message:
        console.print(one_line(gist(run.message), 600), style="yellow", markup=False)
    for table in tables(story):
        console.print()
        console.print(_drawn(table))
    if to_stdout or story.lessons:  # else the run's own summary says so
        usage = story.usage
        console.print(
            f"\nin all {plural(usage.calls, 'call')}, {usage.tokens:,} tokens, "
            f"{usd(usage.cost_usd)}, {duration(run.seconds)}",
            markup=False,
        )


def _drawn(table: Table) -> object:
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    colours = shades(table)
    drawn = Drawn(title=table.title, caption=table.note, box=box.SIMPLE_HEAD, title_justify="left",
                  caption_justify="left", title_style="bold", pad_edge=False)  # fmt: skip
    for name in table.head:
        drawn.add_column(Text(_plain(name)), overflow="fold")
    for at, row in enumerate(table.rows):
        styles = (
            [f"{INK} on {colour}" if colour else "" for colour in colours[at]] if colours else ()
        )
        drawn.add_row(
            *(
                Text(_plain(cell), style=style or _STYLES.get(cell, ""))
                for cell, style in zip_longest(row, styles, fillvalue="")
            )
        )
    return drawn


_STYLES = {"best": "green", "void": "bold red", "stopped": "yellow"}


def _plain(text: str) -> str:
    return printable(" ".join(text.split()))
