"""Packs a part of a container's file system into a tar stream, walking by handles.

The container may be running and hostile: every directory is opened below the handle of the one before, links are
packed and never followed, and what vanishes between the look and the opening is left out (CVE-2018-15664).
"""

import os
import stat
from collections.abc import Iterator

from corten.model.cancel import Cancel
from corten.wire import tar

__all__ = ["pack"]

BLOCK = 1 << 20
SPECIAL = {stat.S_IFCHR: tar.CHARACTER, stat.S_IFBLK: tar.BLOCK_DEVICE, stat.S_IFIFO: tar.FIFO}


def pack(parent: int, name: str, shown: str, cancel: Cancel) -> Iterator[bytes]:
    """The tar of the entry `name` in the directory behind `parent`; its top entry is called `shown`.

    `name` may be "." for the directory itself; called "/" it has no entry of its own, only its content. Both `parent`
    and what is opened are closed at the end.
    """
    try:
        yield from packed(parent, name, os.fsencode(shown), {}, cancel)
        yield tar.END
    finally:
        os.close(parent)


Links = dict[tuple[int, int], bytes]


def packed(parent: int, name: str, shown: bytes, links: Links, cancel: Cancel) -> Iterator[bytes]:
    cancel.check()
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            yield from packed_directory(fd, shown, links, cancel)
        elif kind == stat.S_IFREG:
            yield from packed_file(parent, name, shown, found, links)
        elif kind == stat.S_IFLNK:
            yield tar.encode(entry(shown, tar.SYMLINK, found, link=os.fsencode(os.readlink(name, dir_fd=parent))))
        elif kind in SPECIAL:
            yield tar.encode(entry(shown, SPECIAL[kind], found))
    except FileNotFoundError:
        return


def packed_directory(fd: int, shown: bytes, links: Links, cancel: Cancel) -> Iterator[bytes]:
    try:
        prefix = shown.strip(b"/") + b"/" if shown != b"/" else b""
        if prefix:
            yield tar.encode(entry(prefix, tar.DIRECTORY, os.fstat(fd), xattrs=attributes(fd)))
        for name in sorted(os.listdir(fd)):
            yield from packed(fd, name, prefix + os.fsencode(name), links, cancel)
    finally:
        os.close(fd)


def packed_file(parent: int, name: str, shown: bytes, found: os.stat_result, links: Links) -> Iterator[bytes]:
    identity = (found.st_dev, found.st_ino)
    if found.st_nlink > 1 and identity in links:
        yield tar.encode(entry(shown, tar.HARDLINK, found, link=links[identity]))
        return
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
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
    for name in os.listxattr(fd):
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
