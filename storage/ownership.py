"""Who works on which run: one locked file per run beside the database.

The operating system gives a lock up when its process ends, however it ends: neither kill -9 nor a
process id that is used again leaves a run locked or unlocked by mistake.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from ..engine.canonical import content_hash
from ..engine.errors import RunOwned, StoreError

_TRIES = 5
_BETWEEN_TRIES_S = 0.05  # a reader that looks whether a run is alive holds the lock for less

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


class RunLock:
    """The right of this process to work on one run."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    async def acquire(cls, database: Path, run_id: str) -> RunLock:
        """Take the lock of a run.

        Raises:
            RunOwned: A living process works on it.
            StoreError: The lock file cannot be made.
        """
        import anyio  # here: the reader of `funcforge runs` must start fast

        path = _lock_path(database, run_id)
        for attempt in range(_TRIES):
            if attempt:
                await anyio.sleep(_BETWEEN_TRIES_S)
            try:
                descriptor = _try(path)
            except OSError as error:
                raise StoreError(
                    f"{path}: the lock of the run cannot be taken ({error}). Check that this user "
                    f"may write in the folder {database.parent}",
                    path=str(database),
                ) from error
            if descriptor is not None:
                return cls(path, descriptor)
        raise RunOwned(
            f"run {run_id} in {database} is worked on by {_owner(path)}. Wait for it or stop it; "
            "the run can be resumed when it has ended",
            path=str(database),
        )

    def release(self) -> None:
        """Give the lock up. May be called twice."""
        if self._descriptor >= 0:
            # removed while held: who comes next finds no file and makes a new one
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def is_alive(database: Path, run_id: str) -> bool:
    """Return whether a living process works on a run."""
    try:
        descriptor = os.open(_lock_path(database, run_id), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_path(database: Path, run_id: str) -> Path:
    name = run_id if _SAFE.fullmatch(run_id) else content_hash(run_id)
    return database.with_name(database.name + "-owners") / f"{name}.lock"


def _try(path: Path) -> int | None:
    """Return a locked descriptor of the file that stands at `path`, or None."""
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # the last owner may have removed the file between our two calls
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode())
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _owner(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
