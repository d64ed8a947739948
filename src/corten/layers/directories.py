"""Handles of the directories below a root that hostile archives fill (`unpacking`; layers are C's, native/untar.c).

Each path is walked component by component from a handle, never following a symlink on the way; where a symlink
stands (``/bin -> usr/bin``), the kernel resolves it with the root as ``/`` (openat2, RESOLVE_IN_ROOT). So no name in an
archive ever reaches out. Handles are kept: archives list files by directory.
"""

import os
import stat
from contextlib import suppress
from typing import NamedTuple

from corten.kernel import rooted
from corten.model.errors import InvalidArgument

__all__ = ["PATH_LIMIT", "Directories", "Directory", "clean"]

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT = 128
PATH_LIMIT = 4095  # PATH_MAX: longer names could never be opened in the container
IMPLIED_MODE = 0o755


class Directory(NamedTuple):
    """A directory that something goes into."""

    fd: int


class Directories:
    """A bounded cache of handles below `root_fd`, which stays the caller's."""

    def __init__(self, root_fd: int) -> None:
        self._root = Directory(root_fd)
        self._root_fd = root_fd
        self._open: dict[bytes, Directory] = {}

    def get(self, path: bytes) -> Directory:
        """The directory `path`, made (0755, root) where the archive only implies it. The handle is ours."""
        if not path:
            return self._root
        return self._open.get(path) or self._walk(path)

    def _walk(self, path: bytes) -> Directory:
        parts = path.split(b"/")
        depth = len(parts)
        here = self._root
        while depth := depth - 1:
            known = self._open.get(b"/".join(parts[:depth]))
            if known:
                here = known
                break
        opened: list[int] = []
        try:
            while depth < len(parts):
                depth += 1
                here = self._step(here, parts[depth - 1], b"/".join(parts[:depth]))
                opened.append(here.fd)
            self._open[path] = here
            opened.pop()
            return here
        finally:
            for fd in opened:
                os.close(fd)

    def _step(self, here: Directory, name: bytes, path: bytes) -> Directory:
        try:
            fd = os.open(name, OPEN, dir_fd=here.fd)
        except FileNotFoundError:
            os.mkdir(name, IMPLIED_MODE, dir_fd=here.fd)
            fd = os.open(name, OPEN, dir_fd=here.fd)
        except OSError:  # ENOTDIR or ELOOP: something that is no directory stands there
            fd = self._past(here, name, path)
        return Directory(fd)

    def _past(self, here: Directory, name: bytes, path: bytes) -> int:
        """Get beyond something that is no directory: through a link, over anything else."""
        found = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            with suppress(OSError):
                return rooted.open(self._root_fd, os.fsdecode(path), os.O_RDONLY | os.O_DIRECTORY)
        os.unlink(name, dir_fd=here.fd)
        os.mkdir(name, IMPLIED_MODE, dir_fd=here.fd)
        return os.open(name, OPEN, dir_fd=here.fd)

    def trim(self) -> None:
        """Keep the number of open handles bounded; call it only where no handle is in use."""
        if len(self._open) > KEPT:
            self.forget()

    def forget(self) -> None:
        """Close every handle: after something was removed, a kept one may lead to what is no longer there."""
        for directory in self._open.values():
            os.close(directory.fd)
        self._open.clear()


def clean(name: bytes) -> bytes:
    """An archive's name as a path below the root: no leading slash, no ``.``, no ``..``; "" is the root.

    Raises InvalidArgument for a name that would leave the root, and for one too long to be opened.
    """
    if len(name) > PATH_LIMIT:
        raise InvalidArgument(f"path {name[:80].decode(errors='replace')!r}… is {len(name)} bytes long")
    if not (name.startswith((b"/", b".")) or b"/." in name or b"//" in name):
        return name[:-1] if name.endswith(b"/") else name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise InvalidArgument(f"path {name.decode(errors='replace')!r} leads out of the layer")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)
