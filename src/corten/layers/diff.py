"""Writing a tree, or only what changed in it, as a tar: the reverse of `apply`.

Entries are sorted by path and hold neither names of users nor times below the second, so that the same content
gives the same bytes. The tree may be a running container's: every file is reached by handle from the root without
following links, and a file that grows or shrinks while it is read is cut or padded to what its header promised.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from corten.kernel import rooted
from corten.layers.changes import Change, Kind, changes
from corten.layers.whiteouts import unescape
from corten.model.whiteout import PREFIX, Form
from corten.wire import tar

__all__ = ["diff", "pack"]

CHUNK = 1 << 20
# Attributes that belong to this host and not to the content.
HOST_XATTRS = frozenset(("security.selinux", "security.ima", "security.evm"))
NODES = {stat.S_IFCHR: tar.CHARACTER, stat.S_IFBLK: tar.BLOCK_DEVICE, stat.S_IFIFO: tar.FIFO}


def diff(
    root_fd: int, lower_fds: Sequence[int], form: Form, *, hidden: frozenset[str] = frozenset()
) -> Iterator[bytes]:
    """The changes as a layer, in pieces; deletions are ``.wh.`` names."""
    return _gathered(_tar(root_fd, changes(root_fd, lower_fds, form, hidden=hidden)))


def pack(root_fd: int, *, hidden: frozenset[str] = frozenset()) -> Iterator[bytes]:
    """The whole tree as a tar, in pieces (``docker export``)."""
    return _gathered(_tar(root_fd, (Change(path, Kind.ADDED) for path in _walk(root_fd) if path not in hidden)))


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Few large pieces instead of many small ones: whoever writes them pays per piece."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _walk(root_fd: int) -> Iterator[str]:
    """Every path, parents before children, each directory in order."""
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        try:
            fd = rooted.open(root_fd, directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, follow=False)
        except OSError:
            continue
        try:
            with os.scandir(fd) as found:
                entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
        finally:
            os.close(fd)
        below = []
        for name, is_directory in entries:
            path = f"{directory}/{name}" if directory else name
            yield path
            if is_directory:
                below.append(path)
        waiting += reversed(below)


def _tar(root_fd: int, found: Iterable[Change]) -> Iterator[bytes]:
    links: dict[tuple[int, int], bytes] = {}
    for change in found:
        if change.kind is Kind.DELETED:
            directory, _, name = os.fsencode(change.path).rpartition(b"/")
            gone = (directory + b"/" if directory else b"") + PREFIX + name
            yield tar.encode(tar.Entry(gone, tar.REGULAR, mode=0))
        else:
            yield from _pieces(root_fd, change.path, links)
    yield tar.END


def _pieces(root_fd: int, path: str, links: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    try:
        fd = rooted.open(root_fd, path, os.O_PATH | os.O_NOFOLLOW, follow=False)
    except FileNotFoundError:
        return  # a running container removed it meanwhile
    try:
        about = os.fstat(fd)
        entry = _entry(fd, path, about, links)
        if entry is None:
            return
        yield tar.encode(entry)
        if entry.size:
            yield from _content(fd, entry.size)
    finally:
        os.close(fd)


def _entry(fd: int, path: str, about: os.stat_result, links: dict[tuple[int, int], bytes]) -> tar.Entry | None:
    """The header for a file, None for a socket, which no tar can hold."""
    name = os.fsencode(path)
    kind = stat.S_IFMT(about.st_mode)
    entry = tar.Entry(
        name,
        tar.REGULAR,
        mode=stat.S_IMODE(about.st_mode),
        uid=about.st_uid,
        gid=about.st_gid,
        mtime_ns=about.st_mtime_ns,
    )
    if kind == stat.S_IFSOCK:
        return None
    if kind == stat.S_IFDIR:
        entry.type, entry.name = tar.DIRECTORY, name + b"/"
    elif about.st_nlink > 1 and (first := links.setdefault((about.st_dev, about.st_ino), name)) != name:
        entry.type, entry.link = tar.HARDLINK, first
        return entry
    elif kind == stat.S_IFLNK:
        entry.type, entry.link = tar.SYMLINK, os.fsencode(os.readlink("", dir_fd=fd))
    elif kind in NODES:
        entry.type, entry.device = NODES[kind], (os.major(about.st_rdev), os.minor(about.st_rdev))
    else:
        entry.size = about.st_size
    entry.xattrs = _xattrs(fd)
    return entry


def _xattrs(fd: int) -> dict[bytes, bytes] | None:
    # A handle opened with O_PATH has no attributes of its own; its name below /proc leads to the very file.
    path = f"/proc/self/fd/{fd}"
    found: dict[bytes, bytes] = {}
    try:
        names = os.listxattr(path)
    except OSError:
        return None
    for stored in names:
        name = unescape(stored)
        if name is not None and name not in HOST_XATTRS:
            found[os.fsencode(name)] = os.getxattr(path, stored)
    return found or None


def _content(fd: int, size: int) -> Iterator[bytes]:
    reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        left = size
        while left:
            piece = os.read(reading, min(CHUNK, left)) or bytes(min(CHUNK, left))
            left -= len(piece)
            yield piece
        yield bytes(tar.padding(size))
    finally:
        os.close(reading)
