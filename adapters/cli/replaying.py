"""The command `replay`: a finished run once more, from its record."""

from __future__ import annotations

import anyio

from ..views.plain import PlainView
from ..views.text import plural
from .output import DONE, FAILED, print_json, say
from .stored import DEFAULT, open_reader


def replay(run: str, *, store: str | None, as_json: bool, quiet: bool) -> int:
    """Replay a run; exit code 0 if it is identical, 1 with the first difference.

    Raises:
        FuncforgeError: Nothing was replayed.
    """
    import sys

    from ..replaying import Replay
    from ..replaying import replay as play

    run_id = open_reader(store).resolve(run)
    screens = () if quiet else (PlainView(sys.stderr),)

    async def go() -> Replay:
        return await play(store or DEFAULT, run_id, screens=screens)

    found = anyio.run(go)
    if as_json:
        print_json(
            {
                "run_id": found.run_id,
                "identical": not found.difference,
                "difference": found.difference or None,
                "compared": found.compared,
            }
        )
    elif found.difference:
        say(f"the replay differs: {found.difference}", style="red")
    else:
        tables = found.compared.items()
        rows = ", ".join(plural(count, table.removesuffix("s")) for table, count in tables)
        say(f"identical: {rows}")
    return FAILED if found.difference else DONE
