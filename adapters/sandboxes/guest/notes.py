"""What a model reads beside an error that is the sandbox's doing and not its code's."""

from __future__ import annotations

import errno
import sys
import types
from collections.abc import Iterator

_ALONE = (
    "Note: code here is one process without network. Other processes, programs and connections are "
    "refused; threads and asyncio work."
)
_REFUSED = frozenset({"http", "multiprocessing", "socket", "ssl", "subprocess", "urllib"})


def note(error: BaseException, packages: tuple[str, ...]) -> str:
    """Return what explains the error, or nothing.

    Args:
        error: What the code raised.
        packages: That can be imported beside the standard library.
    """
    if isinstance(error, ImportError):
        root = str(error.name or "").partition(".")[0]
        if not root or root in packages or root in sys.stdlib_module_names:
            return ""
        allowed = ", ".join(packages) or "none"
        return (
            "Note: nothing can be installed here. Beside the standard library these packages can "
            f"be imported: {allowed}."
        )
    if isinstance(error, OSError):
        refused = error.errno == errno.EPERM and error.filename is None
        if refused or not _REFUSED.isdisjoint(_libraries(error.__traceback__)):
            return _ALONE
    return ""


def _libraries(trace: types.TracebackType | None) -> Iterator[str]:
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__")
        if isinstance(name, str):
            yield name.partition(".")[0]
        trace = trace.tb_next
