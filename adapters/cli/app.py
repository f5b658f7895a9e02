"""The commands and their options. What they do is imported when one is called, not before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ...engine.errors import FuncforgeError
from .output import INTERRUPTED, USAGE, report_error

# plain help: rich would cost 0.1 s of start-up
app = typer.Typer(
    name="funcforge",
    help="Train LLM agents without touching model weights: learn the agent's functions.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Settings of the run.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its beginning.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="FILE", envvar="FUNCFORGE_STORE__PATH", show_default=False,
        help="Database of the runs. Default: .funcforge/runs.db",
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def invoke(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        code = app(args=list(arguments), standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    except FuncforgeError as error:
        # before a run began: something that a person can put right
        report_error(error, as_json="--json" in arguments)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _version(value: bool) -> None:
    if value:
        from ... import __version__

        typer.echo(f"funcforge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    config: ConfigFile, overrides: Set = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Train an agent's functions on tasks.

    Live progress goes to stderr; at the end the run id and a summary. Ctrl-C drains what is in
    flight, a second one stops at once; both leave a run that `funcforge resume` goes on with.
    """
    from .running import train

    _exit(train(config, overrides or (), as_json=json, quiet=quiet))


@app.command()
def evaluate(
    subject: Annotated[str, typer.Argument(metavar="CONFIG.toml|RUN", help="What to score.")],
    overrides: Set = None,
    json: Json = False,
    quiet: Quiet = False,
    store: Store = None,
) -> None:
    """Score parameters on tasks, without learning.

    With a config: the parameters that it names, or none. With a run: its best ones, on its tasks.
    """
    from .running import evaluate

    _exit(evaluate(subject, overrides or (), store=store, as_json=json, quiet=quiet))


@app.command()
def resume(
    run: RunName,
    overrides: Set = None,
    json: Json = False,
    quiet: Quiet = False,
    store: Store = None,
) -> None:
    """Go on with a run that was stopped.

    After a budget ran out: --set budget.calls=5000.
    """
    from .running import resume

    _exit(resume(run, overrides or (), store=store, as_json=json, quiet=quiet))


@app.command()
def runs(
    json: Json = False,
    store: Store = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest runs only.")] = 50,
) -> None:
    """List the runs, newest first."""
    from .reading import runs

    _exit(runs(store, limit=limit, as_json=json))


@app.command()
def show(
    run: RunName,
    json: Json = False,
    store: Store = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Where to write the report.",
                     show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Show a run and write its HTML report.

    Learning curve, decisions and why, functions, cost.
    """
    from .reading import show

    _exit(show(run, store, html=html, as_json=json))


@app.command()
def diff(
    run: RunName,
    a: Annotated[
        str | None, typer.Argument(metavar="A", help="Version or step; default: the start.")
    ] = None,
    b: Annotated[
        str | None, typer.Argument(metavar="B", help="Version or step; default: the result.")
    ] = None,
    json: Json = False,
    store: Store = None,
) -> None:
    """Show how functions changed in a run.

    A and B are versions, or steps, or `start` and `result`.
    """
    from .reading import diff

    _exit(diff(run, a, b, store, as_json=json))


@app.command()
def export(
    run: RunName,
    form: Annotated[str, typer.Option("--format", help="python, openai or json.")] = "python",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: stdout.",
                     show_default=False),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="V", help="Version or step; default: the result."),
    ] = None,
    json: Json = False,
    store: Store = None,
) -> None:  # fmt: skip
    """Write the learned functions for use elsewhere."""
    from .reading import export

    _exit(export(run, store, form=form, output=output, version=version, as_json=json))


@app.command()
def call(
    file: Annotated[Path, typer.Argument(metavar="FUNCTIONS.py", help="An export, or any file.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Function to call.")],
    arguments: Annotated[
        str, typer.Option("--args", metavar="JSON", help="Its arguments, as one object.")
    ] = "{}",
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Call one function in the sandbox."""
    from .calling import call

    _exit(call(file, name, arguments, overrides or (), as_json=json))


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG.toml]", help="Also check this config; spends nothing."),
    ] = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Say what is missing and how to fix it."""
    from .diagnosing import doctor

    _exit(doctor(config, overrides or (), as_json=json))


def _exit(code: int) -> Any:
    sys.stdout.flush()
    raise typer.Exit(code)
