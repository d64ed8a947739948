"""Handles of file trees: what a vertex gives to those that stand on it.

A tree is reached by a directory handle only. A snapshot is mounted nowhere (`kernel.detached`): the handle is the
mount, and closing it is the unmount.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corten.kernel import detached
from corten.model import lowerdir
from corten.model.mount import Mount
from corten.model.whiteout import Form
from corten.snapshots import Snapshotter

__all__ = ["committed", "directory", "empty", "file", "writable"]

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def directory(path: str | Path) -> Iterator[int]:
    """A directory of ours."""
    fd = os.open(path, OPEN)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def file(path: Path) -> Iterator[int]:
    """A file of ours, as a place (O_PATH)."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def empty(scratch: Path) -> Iterator[int]:
    """A tree with nothing in it."""
    with tempfile.TemporaryDirectory(prefix="empty-", dir=scratch) as path, directory(path) as fd:
        yield fd


@contextmanager
def committed(snapshots: Snapshotter, key: str, scratch: Path) -> Iterator[int]:
    """The files of a committed snapshot, to be read; "" is the empty one."""
    if not key:
        with empty(scratch) as fd:
            yield fd
        return
    changes = snapshots.changes(key)
    if changes.form is Form.PLAIN or not changes.lowers:
        fd = os.open(changes.path, OPEN)
    else:
        lowers = [str(path) for path in changes.lowers]
        fd = detached.overlay(lowers, str(changes.path), "", readonly=True)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def writable(mount: Mount) -> Iterator[int]:
    """The files of an active snapshot. Nobody else may have it mounted: an upper directory is one mount's alone."""
    if mount.type == "bind":
        fd = os.open(mount.source, OPEN)
    else:
        lowers = lowerdir.split(mount.option("lowerdir") or "")
        fd = detached.overlay(lowers, mount.option("upperdir") or "", mount.option("workdir") or "")
    try:
        yield fd
    finally:
        os.close(fd)
