"""A file or a tree as a tar stream, piece by piece: nothing is held in memory or on disk."""

from __future__ import annotations

import os

from corten.wire import tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Packing"]

_CHUNK = 1 << 18
_DIRECTORY = 0o040000
_TYPES = {
    0o100000: tar.REGULAR, _DIRECTORY: tar.DIRECTORY, 0o120000: tar.SYMLINK, 0o010000: tar.FIFO,
    0o020000: tar.CHARACTER, 0o060000: tar.BLOCK_DEVICE,
}  # fmt: skip


class Packing:
    """The tar of `path` under `name`; `count` is how many bytes were made so far.

    An empty name packs a directory's contents without itself. `keeps(relative path, is directory)` may leave out
    parts of a tree.
    """

    def __init__(self, path: str, name: str, *, keeps: Callable[[str, bool], bool] | None = None) -> None:
        self._path = path
        self._name = name
        self._keeps = keeps
        self._inodes: dict[tuple[int, int], str] = {}
        self.count = 0

    def chunks(self) -> Iterator[bytes]:
        """The archive in pieces of some size: each is a write of ours and a read of the engine's."""
        waiting: list[bytes] = []
        size = 0
        for piece in self._pieces():
            self.count += len(piece)
            size += len(piece)
            waiting.append(piece)
            if size >= _CHUNK:
                yield b"".join(waiting)
                waiting, size = [], 0
        yield b"".join(waiting)

    def _pieces(self) -> Iterator[bytes]:
        status = os.lstat(self._path)
        if self._name:
            yield from self._entry(self._path, self._name, status)
        if _kind(status) == _DIRECTORY:
            yield from self._below(self._path, self._name, "")
        yield tar.END

    def _below(self, directory: str, name: str, relative: str) -> Iterator[bytes]:
        for child in sorted(os.listdir(directory)):
            path = f"{directory}/{child}"
            inside = f"{relative}{child}"
            status = os.lstat(path)
            is_directory = _kind(status) == _DIRECTORY
            if self._keeps is None or self._keeps(inside, is_directory):
                yield from self._entry(path, f"{name}/{child}" if name else child, status)
            if is_directory:
                yield from self._below(path, f"{name}/{child}" if name else child, f"{inside}/")

    def _entry(self, path: str, name: str, status: os.stat_result) -> Iterator[bytes]:
        """The header and the content of one thing; sockets have no place in an archive."""
        entry = self._header(path, name, status)
        if entry is None:
            return
        if entry.type != tar.REGULAR or not status.st_size:
            yield tar.encode(entry)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            entry.size = os.fstat(descriptor).st_size
            yield tar.encode(entry)
            yield from self._content(descriptor, entry.size)
        finally:
            os.close(descriptor)

    def _content(self, descriptor: int, size: int) -> Iterator[bytes]:
        """Exactly the bytes that the header promised, whether the file shrinks or grows meanwhile."""
        left = size
        while left:
            data = os.read(descriptor, min(_CHUNK, left)) or b"\0" * min(_CHUNK, left)
            left -= len(data)
            yield data
        if missing := tar.padding(size):
            yield bytes(missing)

    def _header(self, path: str, name: str, status: os.stat_result) -> tar.Entry | None:
        kind = _kind(status)
        type_, link = _TYPES.get(kind), b""
        if type_ is None:
            return None
        first = self._inodes.setdefault((status.st_dev, status.st_ino), name)
        if type_ == tar.REGULAR and status.st_nlink > 1 and first != name:
            type_, link = tar.HARDLINK, os.fsencode(first)
        elif type_ == tar.SYMLINK:
            link = os.fsencode(os.readlink(path))
        return tar.Entry(
            os.fsencode(f"{name}/" if type_ == tar.DIRECTORY else name),
            type_,
            mode=status.st_mode & 0o7777,
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns,
            link=link,
            device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        )


def _kind(status: os.stat_result) -> int:
    return status.st_mode & 0o170000
