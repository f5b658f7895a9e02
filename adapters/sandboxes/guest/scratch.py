"""A scratch folder on the machine's own disk: how full it is, and its removal."""

from __future__ import annotations

import contextlib
import math
import os
import stat


def remove(root: str) -> None:
    """Remove a folder and all in it, however deep, without following links.

    Nothing may still run in it. Folders are moved up before they are emptied: a path longer than
    the kernel takes, or a recursion deeper than Python's, cannot then stop the removal.
    """
    moved = 0
    os.chmod(root, 0o700)
    pending = True
    while pending:
        pending = False
        for entry in _entries(root):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            pending = True
            os.chmod(entry.path, 0o700)
            for inner in _entries(entry.path):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)  # moving a folder rewrites its ".."
                    moved += 1
                    os.rename(inner.path, os.path.join(root, f".moved-{moved}"))
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)
    os.rmdir(root)


def is_full(root: str, pid: int, *, size_bytes: int, files: int) -> bool:
    """Whether a living process has put more into its scratch than it may.

    Counts what is deleted but still open, too. What cannot be counted is too much.
    """
    pending, left_bytes, left_files = [root], size_bytes, files
    try:
        while pending:
            for entry in _entries_if_there(pending.pop()):
                left_files -= 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                # what vanishes while it is looked at took no room: nobody may hide by churning
                with contextlib.suppress(FileNotFoundError):
                    left_bytes -= entry.stat(follow_symlinks=False).st_blocks * 512
                if left_bytes < 0 or left_files < 0:
                    return True
    except OSError:
        return True
    return _deleted_bytes(pid, root) > left_bytes


def _deleted_bytes(pid: int, root: str) -> float:
    """Return how much a process holds of files that are deleted; infinity if nobody can tell."""
    sizes: dict[int, int] = {}
    try:
        for entry in _entries(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                facts = entry.stat()
                if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                    sizes[facts.st_ino] = facts.st_blocks * 512
        # `mmap` of Python keeps its file open: what is mapped and closed hides how large it is
        hiding = _deleted_but_mapped(pid, root) - sizes.keys()
        if hiding & _deleted_but_mapped(pid, root):  # and is not just being closed
            return math.inf
    except OSError:
        return 0  # the process has ended
    return sum(sizes.values())


def _deleted_but_mapped(pid: int, root: str) -> set[int]:
    """Return the inodes of deleted files below a folder that are mapped into a process."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\n").split(maxsplit=5) for line in file if root in line]
    return {int(inode) for *_, inode, path in lines if path.endswith(" (deleted)")}


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _entries_if_there(folder: str) -> list[os.DirEntry[str]]:
    try:
        return _entries(folder)
    except FileNotFoundError:
        return []
