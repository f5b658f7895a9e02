"""What a process that answered, or ended without an answer, means for the call."""

from __future__ import annotations

import os
import signal
from typing import Any

from ...engine.episode import CallOutcome
from ...engine.errors import InvalidReply
from ...engine.ports import CallResult
from .replies import read_answer

_MEANINGS = {
    signal.SIGSEGV: "a crash in native code, or recursion too deep",
    signal.SIGSYS: "a forbidden system call",
    signal.SIGABRT: "it aborted itself",
    signal.SIGKILL: "out of computing time or memory",
    signal.SIGXCPU: "out of computing time",
    signal.SIGXFSZ: "a file grew too large",
}


def result_of(answer: Any, stdout: str, elapsed_s: float) -> CallResult:
    """Return the result that an answer stands for; a malformed one is the code's own doing."""
    try:
        outcome, value, error = read_answer(answer)
    except InvalidReply as problem:
        outcome, value, error = "exception", None, f"the process sent no valid result: {problem}"
    known: CallOutcome = (
        "value" if outcome == "value" else "refused" if outcome == "refused" else "exception"
    )
    return CallResult(outcome=known, value=value, error=error, stdout=stdout, elapsed_s=elapsed_s)


def describe_ending(
    status: int | None, trouble: str, elapsed_s: float, cpu_limit_s: int
) -> tuple[CallOutcome, str]:
    """Return outcome and text for a process that ended without an answer.

    Args:
        status: As of waitpid, reported by the parent; None if the parent is gone as well.
        trouble: Why the parent ended it, if it did.
        elapsed_s: How long it ran.
        cpu_limit_s: Computing time that it had.
    """
    if status is None:
        return "system_failure", "the sandbox ended during the call"
    if trouble:
        return "exception", f"the process was ended: {trouble}"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return "exception", f"the process ended by itself (exit status {code}), without a result"
    number = -code
    if number == signal.SIGKILL and elapsed_s >= cpu_limit_s:
        return "timeout", f"it computed longer than {cpu_limit_s} s and was ended"
    try:
        named = signal.Signals(number)
    except ValueError:
        return "exception", f"the process was ended by signal {number}"
    meaning = _MEANINGS.get(named)
    reason = f"{named.name}: {meaning}" if meaning else named.name
    return "exception", f"the process was ended ({reason})"
