"""A scratch folder on the machine's own disk: how full it is, and its removal."""

from __future__ import annotations

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
            for entry in _entries(pending.pop()):
                left_files -= 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                left_bytes -= entry.stat(follow_symlinks=False).st_blocks * 512
                if left_bytes < 0 or left_files < 0:
                    return True
    except FileNotFoundError:
        return False  # it is being emptied; the next look will tell
    except OSError:
        return True
    return _deleted_bytes(pid) > left_bytes


def _deleted_bytes(pid: int) -> int:
    total = 0
    try:
        for entry in _entries(f"/proc/{pid}/fd"):
            facts = entry.stat()
            if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                total += facts.st_blocks * 512
    except OSError:
        return total  # the process has ended
    return total


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)
