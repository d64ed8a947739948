"""Packs a part of a container's file system into a tar stream, walking by handles.

The container may be running and hostile: every directory is opened below the handle of the one before, links are
packed and never followed, and what vanishes between the look and the opening is left out (CVE-2018-15664).
"""

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from corten.kernel import rooted
from corten.model.cancel import Cancel
from corten.wire import tar

__all__ = ["pack"]

BLOCK = 1 << 20
SPECIAL = {stat.S_IFCHR: tar.CHARACTER, stat.S_IFBLK: tar.BLOCK_DEVICE, stat.S_IFIFO: tar.FIFO}


class Walk(NamedTuple):
    """What one packing remembers: names of files with several links, whom to obey, whether to look into mounts."""

    links: dict[tuple[int, int], bytes]
    cancel: Cancel
    cross: bool

    def open(self, parent: int, name: str, flags: int) -> int:
        """Open an entry; -1 for a mount point that is not to be looked into."""
        try:
            return rooted.open(parent, name, flags | os.O_NOFOLLOW, follow=False, cross=self.cross)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return -1
            raise


def pack(parent: int, name: str, shown: str, cancel: Cancel, *, cross: bool = True) -> Iterator[bytes]:
    """The tar of the entry `name` in the directory behind `parent`; its top entry is called `shown`.

    `name` may be "." for the directory itself; called "/" it has no entry of its own, only its content. Both `parent`
    and what is opened are closed at the end. Without `cross` a mount point is an empty directory or file.
    """
    try:
        yield from packed(parent, name, os.fsencode(shown), Walk({}, cancel, cross))
        yield tar.END
    finally:
        os.close(parent)


def packed(parent: int, name: str, shown: bytes, walk: Walk) -> Iterator[bytes]:
    walk.cancel.check()
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            yield from packed_directory(walk.open(parent, name, os.O_RDONLY | os.O_DIRECTORY), shown, found, walk)
        elif kind == stat.S_IFREG:
            yield from packed_file(parent, name, shown, found, walk)
        elif kind == stat.S_IFLNK:
            yield tar.encode(entry(shown, tar.SYMLINK, found, link=os.fsencode(os.readlink(name, dir_fd=parent))))
        elif kind in SPECIAL:
            yield tar.encode(entry(shown, SPECIAL[kind], found))
    except FileNotFoundError:
        return


def packed_directory(fd: int, shown: bytes, found: os.stat_result, walk: Walk) -> Iterator[bytes]:
    if fd < 0:
        yield tar.encode(entry(shown.rstrip(b"/") + b"/", tar.DIRECTORY, found))
        return
    try:
        prefix = shown.strip(b"/") + b"/" if shown != b"/" else b""
        if prefix:
            yield tar.encode(entry(prefix, tar.DIRECTORY, os.fstat(fd), xattrs=attributes(fd)))
        for name in sorted(os.listdir(fd)):
            yield from packed(fd, name, prefix + os.fsencode(name), walk)
    finally:
        os.close(fd)


def packed_file(parent: int, name: str, shown: bytes, found: os.stat_result, walk: Walk) -> Iterator[bytes]:
    identity, links = (found.st_dev, found.st_ino), walk.links
    if found.st_nlink > 1 and identity in links:
        yield tar.encode(entry(shown, tar.HARDLINK, found, link=links[identity]))
        return
    fd = walk.open(parent, name, os.O_RDONLY | os.O_NONBLOCK)
    if fd < 0:
        yield tar.encode(entry(shown, tar.REGULAR, found))
        return
    with open(fd, "rb", buffering=0) as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return
        if found.st_nlink > 1:
            links[identity] = shown
        yield tar.encode(entry(shown, tar.REGULAR, found, size=found.st_size, xattrs=attributes(fd)))
        left = found.st_size
        while left:
            # A file that is cut short while it is read is filled up: its header is out already.
            data = file.read(min(BLOCK, left)) or bytes(min(BLOCK, left))
            left -= len(data)
            yield data
        yield bytes(tar.padding(found.st_size))


def attributes(fd: int) -> dict[bytes, bytes] | None:
    """The extended attributes that belong to a file's content: capabilities and the user's own."""
    found = {}
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:  # proc and its like
            return None
        raise
    for name in names:
        if name == "security.capability" or name.startswith("user."):
            found[os.fsencode(name)] = os.getxattr(fd, name)
    return found or None


def entry(
    name: bytes,
    type: bytes,
    found: os.stat_result,
    *,
    size: int = 0,
    link: bytes = b"",
    xattrs: dict[bytes, bytes] | None = None,
) -> tar.Entry:
    device = (os.major(found.st_rdev), os.minor(found.st_rdev))
    return tar.Entry(
        name,
        type,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=size,
        mtime_ns=found.st_mtime_ns,
        link=link,
        device=device,
        xattrs=xattrs,
    )
