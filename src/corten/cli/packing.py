"""A file or a tree as a tar stream, piece by piece: nothing is held in memory or on disk."""

from __future__ import annotations

import os
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Packing"]

_CHUNK = 1 << 18


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
        for piece in self._pieces():
            self.count += len(piece)
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        if self._name:
            yield from self._entry(self._path, self._name)
        if os.path.isdir(self._path) and not os.path.islink(self._path):
            yield from self._below(self._path, self._name, "")
        yield bytes(1024)

    def _below(self, directory: str, name: str, relative: str) -> Iterator[bytes]:
        for child in sorted(os.listdir(directory)):
            path = os.path.join(directory, child)
            inside = f"{relative}{child}"
            is_directory = os.path.isdir(path) and not os.path.islink(path)
            if self._keeps is None or self._keeps(inside, is_directory):
                yield from self._entry(path, f"{name}/{child}" if name else child)
            if is_directory:
                yield from self._below(path, f"{name}/{child}" if name else child, f"{inside}/")

    def _entry(self, path: str, name: str) -> Iterator[bytes]:
        """The header and the content of one thing; sockets have no place in an archive."""
        status = os.lstat(path)
        info = self._header(path, name, status)
        if info is None:
            return
        if not info.isreg():
            yield info.tobuf(tarfile.PAX_FORMAT)
            return
        with open(path, "rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            yield info.tobuf(tarfile.PAX_FORMAT)
            yield from self._content(file.fileno(), info.size)

    def _content(self, descriptor: int, size: int) -> Iterator[bytes]:
        """Exactly the bytes that the header promised, whether the file shrinks or grows meanwhile."""
        left = size
        while left:
            data = os.read(descriptor, min(_CHUNK, left)) or b"\0" * min(_CHUNK, left)
            left -= len(data)
            yield data
        if size % 512:
            yield b"\0" * (512 - size % 512)

    def _header(self, path: str, name: str, status: os.stat_result) -> tarfile.TarInfo | None:
        import stat

        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.gid, info.mtime = (
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            int(status.st_mtime),
        )
        kind = stat.S_IFMT(status.st_mode)
        key = (status.st_dev, status.st_ino)
        if kind == stat.S_IFREG and status.st_nlink > 1 and key in self._inodes:
            info.type, info.linkname = tarfile.LNKTYPE, self._inodes[key]
        elif kind == stat.S_IFLNK:
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            info.type = tarfile.CHRTYPE if kind == stat.S_IFCHR else tarfile.BLKTYPE
            info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        elif kind == stat.S_IFSOCK:
            return None
        else:
            info.type = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFIFO: tarfile.FIFOTYPE}.get(kind, tarfile.REGTYPE)
        self._inodes.setdefault(key, name)
        return info
