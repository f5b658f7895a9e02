"""The commands and their options. What they do is imported when one is called, not before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...engine.errors import FuncforgeError
from .output import INTERRUPTED, USAGE, report_error

FILE = click.Path(path_type=Path)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout.")
quiet = click.option("--quiet", "-q", is_flag=True, help="No progress.")
overrides = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True,
    help="Override a setting; may be repeated.",
)  # fmt: skip
store = click.option(
    "--store", metavar="FILE", envvar="FUNCFORGE_STORE__PATH",
    help="Database of the runs.  [default: .funcforge/runs.db]",
)  # fmt: skip
run = click.argument("run", metavar="RUN")
config = click.argument("config", metavar="CONFIG.toml", type=FILE)


def invoke(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        code = app.main(args=list(arguments), prog_name="funcforge", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FuncforgeError as error:
        # before a run began: something that a person can put right
        report_error(error, as_json="--json" in arguments)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="funcforge", message="%(package)s %(version)s")
def app() -> None:
    """Train LLM agents without touching model weights: learn the agent's functions."""


@app.command()
@config
@overrides
@as_json
@quiet
def train(**given: Any) -> int:
    """Train an agent's functions on tasks.

    Live progress goes to stderr; at the end the run id and a summary. Ctrl-C drains what is in
    flight, a second one stops at once; both leave a run that `funcforge resume` goes on with.
    """
    from .running import train

    return train(**given)


@app.command()
@click.argument("subject", metavar="CONFIG.toml|RUN")
@overrides
@store
@as_json
@quiet
def evaluate(**given: Any) -> int:
    """Score parameters on tasks, without learning.

    With a config: the parameters that it names, or none. With a run: its best ones, on its tasks,
    or others on the same: --set parameters=FILE.json.
    """
    from .running import evaluate

    return evaluate(**given)


@app.command()
@config
@click.option(
    "--fail-if",
    multiple=True,
    metavar="CONDITION",
    help='Regression gate, e.g. "accuracy(B) < accuracy(A) - 0.02"; may be repeated.',
)
@click.option("--strict", is_flag=True, help="The gate also fails where it cannot tell.")
@click.option(
    "--html",
    type=FILE,
    metavar="FILE",
    help="Where to write the report; .md and .csv go beside it.",
)
@overrides
@as_json
@quiet
def compare(**given: Any) -> int:
    """Compare arms on the same tasks: models, or what was learned.

    Paired statistics, money and time. An arm whose provider fails stops no other; then the exit
    code is 1, as it is when a condition of --fail-if surely holds.
    """
    from .comparing import compare

    return compare(**given)


@app.command()
@click.argument("file", metavar="TABLE.toml", type=FILE)
@click.option("--output", "-o", type=FILE, metavar="FOLDER",
              help="Where to write.  [default: tables/ beside the database]")  # fmt: skip
@click.option("--plan", "plan_only", is_flag=True, help="Check all, list the runs, run none.")
@overrides
@as_json
@quiet
def table(**given: Any) -> int:
    """Run a grid of settings and seeds; write it as Markdown, CSV and a figure.

    Given again, it goes on where it stopped: runs that are done are not run twice.
    """
    from .tabling import table

    return table(**given)


@app.command()
@config
@click.option("--episodes", type=click.IntRange(min=1), metavar="N",
              help="Of the whole run.  [default: budget.calls, or the policy's]")  # fmt: skip
@overrides
@as_json
def plan(**given: Any) -> int:
    """Say what true gain a config can find, and what +5 and +10 points take.

    Reckons; asks no model.
    """
    from .planning import plan

    return plan(**given)


@app.command()
@run
@overrides
@store
@as_json
@quiet
def resume(**given: Any) -> int:
    """Go on with a run that was stopped.

    After a budget ran out: --set budget.calls=5000.
    """
    from .running import resume

    return resume(**given)


@app.command()
@run
@store
@as_json
@quiet
def replay(**given: Any) -> int:
    """Re-execute a finished run offline, from its record, and compare.

    No provider is asked and no key is needed. Shows the first difference, if there is one.
    """
    from .replaying import replay

    return replay(**given)


@app.command()
@click.option("--limit", "-n", type=click.IntRange(min=1), default=50, show_default=True,
              help="Newest runs only.")  # fmt: skip
@store
@as_json
def runs(**given: Any) -> int:
    """List the runs, newest first."""
    from .listing import runs

    return runs(**given)


@app.command()
@run
@click.option("--html", type=FILE, metavar="FILE", help="Where to write the report.")
@store
@as_json
def show(**given: Any) -> int:
    """Show a run and write its HTML report.

    Learning curve, decisions and why, functions, cost. RUN is an id, its beginning, or `latest`.
    """
    from .reading import show

    return show(**given)


@app.command()
@run
@click.argument("a", required=False)
@click.argument("b", required=False)
@store
@as_json
def diff(**given: Any) -> int:
    """Show how functions changed in a run.

    A and B are versions, or steps, or `start` and `result`.
    """
    from .reading import diff

    return diff(**given)


@app.command()
@run
@click.option("--format", "form", metavar="FORMAT", default="python", show_default=True,
              help="python, openai or json; of episodes: sft, sft-trl, preferences or "
                   "preferences-trl.")  # fmt: skip
@click.option("--output", "-o", type=FILE, metavar="FILE", help="Instead of stdout.")
@click.option("--version", metavar="V", help="Version or step.  [default: the result]")
@click.option("--split", multiple=True, type=click.Choice(["train", "validation", "test"]),
              help="Episodes: of these tasks; may be repeated.  [default: train]")  # fmt: skip
@click.option("--by", type=click.Choice(["signal", "gold", "critic"]),
              help="Episodes: whose score.  [default: what the run learned from]")  # fmt: skip
@click.option("--min-score", type=click.FloatRange(0, 1), metavar="S",
              help="Episodes: the least score.  [default: 1; of a preferred one 0]")  # fmt: skip
@click.option("--margin", type=click.FloatRange(0, 1), metavar="M",
              help="Preferences: the least difference.  [default: 0.2]")  # fmt: skip
@click.option("--best-only", is_flag=True, help="Episodes: the best one of each task.")
@click.option("--general", type=FILE, metavar="FILE", help="Mix with these rows of chat JSONL.")
@click.option("--own-share", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              metavar="R", help="Share of own rows in the mixture.  [default: 0.2]")  # fmt: skip
@click.option("--seed", type=int, help="Of the mixture.  [default: 0]")
@store
@as_json
def export(**given: Any) -> int:
    """Write the learned functions for use elsewhere, or episodes to fine-tune on.

    The formats of episodes are JSONL: OpenAI's chat form, or TRL's conversational one.
    """
    from .exporting import export

    return export(**given)


@app.command()
@run
@click.argument("names", metavar="FUNCTION...", nargs=-1, required=True)
@click.option("--output", "-o", type=FILE, metavar="FILE",
              help="Where to write it.  [default: parameters/ beside the database]")  # fmt: skip
@click.option("--version", metavar="V", help="Version or step.  [default: the result]")
@store
@as_json
def drop(**given: Any) -> int:
    """Roll single functions back: write a version of RUN without them, to be evaluated.

    The run itself stays as it is.
    """
    from .dropping import drop

    return drop(**given)


@app.command()
@click.argument("file", metavar="FUNCTIONS.py", type=FILE)
@click.argument("name")
@click.option("--args", "arguments", metavar="JSON", default="{}",
              help="Its arguments, as one object.")  # fmt: skip
@overrides
@as_json
def call(**given: Any) -> int:
    """Call one function in the sandbox.

    FUNCTIONS.py is an export, or any file that defines NAME; it is not imported here.
    """
    from .calling import call

    return call(**given)


@app.command()
@click.argument("config", metavar="[CONFIG.toml]", type=FILE, required=False)
@overrides
@as_json
def doctor(**given: Any) -> int:
    """Say what is missing and how to fix it.

    With a config: also its tasks, prompts, models and keys. Spends nothing.
    """
    from .diagnosing import doctor

    return doctor(**given)
