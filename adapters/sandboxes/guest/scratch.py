"""Removing a scratch folder that hostile code has filled."""

from __future__ import annotations

import os


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


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)
