"""Proves a backend on this machine: a call must work, and attempts to escape must fail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.functions import Function
from .settings import BackendReport

if TYPE_CHECKING:
    from .pool import Pool

_ESCAPES = Path(__file__).with_name("escapes.py")

_PATIENCE_S = 60.0  # a busy machine is no reason to go without a sandbox

_GIVES = {
    "bubblewrap": "own users, processes, mounts, network and IPC; system call filter; limits",
    "sandlock": (
        "Landlock for files, system call filter, limits; names and sizes of files stay visible"
    ),
    "unsafe": "NO protection: another process, nothing more. For debugging code that you trust",
}
_FIXES = {
    "bubblewrap": (
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 "
        "user.max_user_namespaces=15000   # or, in a container: docker run --privileged"
    ),
    "sandlock": "use a kernel of 5.13 or later with Landlock (boot parameter lsm=landlock,...)",
}


async def prove(pool: Pool) -> BackendReport:
    """Return whether a backend works and holds here."""
    name = pool.backend
    # unconfined, an escape would succeed: there is nothing to prove but that it runs
    code = _ESCAPES.read_text(encoding="utf-8") if name != "unsafe" else "def escapes(): return []"
    attempt = Function(
        name="escapes",
        description="Tries to escape.",
        arguments={"type": "object", "properties": {}},
        code=code,
    )
    result = await pool.once(attempt, {"do": "call", "arguments": {}}, wall_s=_PATIENCE_S)
    fix = _FIXES.get(name, "")
    if result.outcome != "value":
        return BackendReport(name=name, works=False, reason=result.error, fix=fix)
    if result.value != []:
        reason = f"code inside could escape: {result.value}"
        return BackendReport(name=name, works=False, reason=reason, fix=fix)
    return BackendReport(name=name, works=True, reason=_GIVES[name])
