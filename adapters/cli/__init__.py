"""The command line. `funcforge --help` says what there is; the contract is in the README."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code.

    0 done, 1 the run failed, 2 bad usage or config, 3 budget exhausted, 130 interrupted.
    """
    from .app import invoke

    try:
        code = invoke(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of a pipe left, as `| head` does: nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
