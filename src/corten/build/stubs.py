"""The places where a RUN's mounts go, kept out of the image.

A mount needs something to stand on: `/proc`, `/etc/hosts`, a cache's directory. Made in the image's own files these
would have to be removed after the RUN, by paths that the RUN had in its hands (CVE-2024-23652). Here they are made
beforehand in a layer of their own *between* the image's and the RUN's (Docker's containers have such an init layer):
what the RUN writes lands above it, and the layer between is dropped. Nothing is touched afterwards.
"""

import os
import posixpath
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from corten.kernel import rooted

__all__ = ["Stub", "make", "needed"]


class Stub(NamedTuple):
    """`path` is absolute; a directory or a file, as what is mounted there."""

    path: str
    is_directory: bool


def needed(mounts: Iterable[Stub]) -> list[Stub]:
    """Those that stand in the root itself: what is below another mount is made in there."""
    kept: list[Stub] = []
    for stub in sorted(mounts, key=lambda one: one.path.count("/")):
        if not any(stub.path.startswith(above.path.rstrip("/") + "/") for above in kept if above.is_directory):
            kept.append(stub)
    return kept


def make(root: int, stubs: Iterable[Stub]) -> None:
    """Make what is missing of `stubs` below `root`; directories that are there keep their times."""
    for stub in stubs:
        try:
            os.close(rooted.open(root, stub.path, os.O_PATH))
        except FileNotFoundError:
            make_one(root, stub)


def make_one(root: int, stub: Stub) -> None:
    times = deepest(root, stub.path)
    parent, name = posixpath.split(stub.path.rstrip("/"))
    if stub.is_directory:
        os.close(rooted.make_directories(root, stub.path))
    else:
        os.close(rooted.make_directories(root, parent or "/"))
        # O_CREAT follows a dangling link within the root: what a mount at the link would stand on.
        with suppress(FileExistsError):
            os.close(rooted.open(root, f"{parent}/{name}", os.O_WRONLY | os.O_CREAT, 0o644))
    with_times(root, *times)


def deepest(root: int, path: str) -> tuple[str, os.stat_result]:
    """The nearest directory above `path` that is there, with its attributes."""
    while True:
        path = posixpath.dirname(path.rstrip("/")) or "/"
        with suppress(FileNotFoundError):
            fd = rooted.open(root, path, os.O_PATH)
            try:
                return path, os.fstat(fd)
            finally:
                os.close(fd)


def with_times(root: int, path: str, about: os.stat_result) -> None:
    fd = rooted.open(root, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.utime(fd, ns=(about.st_atime_ns, about.st_mtime_ns))
    finally:
        os.close(fd)
