"""Counting what a directory tree holds."""

import os
from pathlib import Path

from corten.snapshots.protocol import Usage

__all__ = ["usage"]


def usage(path: Path) -> Usage:
    """Bytes in regular files, hard-linked ones once, and the number of files of any kind; symlinks are not followed.

    A running container may change the tree meanwhile: what vanishes is not counted.
    """
    size = inodes = 0
    linked: set[int] = set()
    waiting = [os.fspath(path)]
    while waiting:
        try:
            found = os.scandir(waiting.pop())
        except (FileNotFoundError, NotADirectoryError):
            continue
        with found:
            for entry in found:
                inodes += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    size += _file_size(entry, linked)
    return Usage(size, inodes)


def _file_size(entry: os.DirEntry[str], linked: set[int]) -> int:
    try:
        about = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    if about.st_nlink > 1:
        if about.st_ino in linked:
            return 0
        linked.add(about.st_ino)
    return about.st_size
