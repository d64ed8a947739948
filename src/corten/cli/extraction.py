"""Unpacking what a container sent, on this machine.

The archive's names and links were chosen inside the container, so none is trusted (CVE-2018-15664, CVE-2019-14271):
every step down a path is an `openat` with O_NOFOLLOW from the directory before it, `..` and absolute names are
refused, and a link is made but never followed. What is written lies below the destination or nowhere.
"""

from __future__ import annotations

import os
import tarfile

from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

__all__ = ["extract"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 18


class _Reader:
    """Chunks as a file to read from, for tarfile."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        parts = [self._held]
        length = len(self._held)
        while length < size or size < 0:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            length += len(chunk)
            self.count += len(chunk)
        data = b"".join(parts)
        size = len(data) if size < 0 else size
        self._held = data[size:]
        return data[:size]


def extract(chunks: Iterator[bytes], place: str, *, rename: tuple[str, str]) -> int:
    """Unpack a tar stream into the directory `place`; the bytes that the archive had.

    `rename` is the archive's top entry and the name it takes here; an empty new name unpacks the top directory's
    contents into `place` itself.
    """
    reader = _Reader(chunks)
    root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    later: list[tuple[tarfile.TarInfo, list[str]]] = []
    try:
        with tarfile.open(fileobj=reader, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                steps = _steps(member.name, rename)
                if steps:
                    _make(archive, member, root, steps, rename)
                if member.isdir() and steps:
                    later.append((member, steps))
        for member, steps in reversed(later):  # a directory's mode may forbid what its contents needed
            _finish_directory(root, member, steps)
    finally:
        os.close(root)
    return reader.count


def _steps(name: str, rename: tuple[str, str]) -> list[str]:
    """The steps below the destination; Fault for a name that leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise Fault(f"cannot unpack {name!r}: it points out of the destination")
    old, new = rename[0].strip("/"), [rename[1]] if rename[1] else []
    if old in ("", "."):  # the contents of a directory, named from itself
        return [*new, *parts]
    return [*new, *parts[1:]] if parts and parts[0] == old else parts


def _parent(root: int, steps: list[str]) -> int:
    """A descriptor of the directory that holds the last step, made where it is missing."""
    current = os.dup(root)
    for step in steps[:-1]:
        try:
            inner = os.open(step, _DIRECTORY, dir_fd=current)
        except FileNotFoundError:
            os.mkdir(step, 0o755, dir_fd=current)
            inner = os.open(step, _DIRECTORY, dir_fd=current)
        except NotADirectoryError:
            raise Fault(f"cannot unpack below {step!r}: it is no directory") from None
        finally:
            os.close(current)
        current = inner
    return current


def _make(
    archive: tarfile.TarFile, member: tarfile.TarInfo, root: int, steps: list[str], rename: tuple[str, str]
) -> None:
    parent = _parent(root, steps)
    try:
        if member.isdir():
            _make_directory(parent, steps[-1])
            return
        _remove_old(parent, steps[-1])
        if member.isreg():
            content = archive.extractfile(member)
            assert content is not None
            _write_file(content, member, parent, steps[-1])
        elif member.issym():
            os.symlink(member.linkname, steps[-1], dir_fd=parent)
        elif member.islnk():
            _link(member, root, parent, steps, rename)
        elif member.isfifo():
            os.mkfifo(steps[-1], member.mode & 0o777, dir_fd=parent)
        elif member.isdev():
            kind = 0o020000 if member.ischr() else 0o060000
            os.mknod(steps[-1], kind | member.mode & 0o777, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
    finally:
        os.close(parent)


def _make_directory(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        try:
            os.close(os.open(name, _DIRECTORY, dir_fd=parent))
        except OSError:
            raise Fault(f"cannot overwrite non-directory {name!r} with directory") from None


def _remove_old(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        raise Fault(f"cannot overwrite directory {name!r} with non-directory") from None


def _write_file(content: IO[bytes], member: tarfile.TarInfo, parent: int, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        while data := content.read(_CHUNK):
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, member.mode & 0o7777)
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


def _link(member: tarfile.TarInfo, root: int, parent: int, steps: list[str], rename: tuple[str, str]) -> None:
    """A hard link to something that the same archive brought."""
    target = _steps(member.linkname, rename)
    source = _parent(root, target)
    try:
        os.link(target[-1], steps[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(source)


def _finish_directory(root: int, member: tarfile.TarInfo, steps: list[str]) -> None:
    parent = _parent(root, steps)
    try:
        descriptor = os.open(steps[-1], _DIRECTORY, dir_fd=parent)
    finally:
        os.close(parent)
    os.fchmod(descriptor, member.mode & 0o7777)
    os.utime(descriptor, (member.mtime, member.mtime))
    os.close(descriptor)
