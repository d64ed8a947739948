"""Unpacks a client's tar into a directory that is not ours alone (a container's, a build's), walking by handles.

It is no layer: names that would be whiteouts there are plain names here. The archive and the directory are both
hostile. No name leaves the target directory; no link on the way is followed out of the root; a hard link may only
point to what lies below the target.
"""

import os
from contextlib import suppress
from typing import NamedTuple

from corten.layers import source as tarsource
from corten.layers.compression import Readable
from corten.layers.directories import Directories, Directory, clean
from corten.model.cancel import Cancel
from corten.model.errors import CortenError, InvalidArgument
from corten.wire import tar

__all__ = ["Rules", "unpack"]

MODES = {tar.CHARACTER: 0o020000, tar.BLOCK_DEVICE: 0o060000, tar.FIFO: 0o010000}


class Rules(NamedTuple):
    """`keep_kinds` refuses to put a file where a directory is and the other way round; `owner` replaces the
    archive's.
    """

    keep_kinds: bool = False
    owner: tuple[int, int] | None = None


def unpack(stream: Readable, target: int, rules: Rules, cancel: Cancel) -> None:
    """Unpack the tar (plain, gzip, bzip2, xz, zstd) into the directory behind `target`, which stays the caller's."""
    archive = tarsource.of_stream(stream, hashed=False)
    directories = Directories(target)
    late: list[tuple[bytes, tar.Entry]] = []
    try:
        for entry in tar.entries(archive):
            cancel.check()
            put(archive, directories, entry, rules, late)
            directories.trim()
        # Writing into a directory changes its times, so they come last.
        for path, entry in reversed(late):
            os.utime(directories.get(path).fd, ns=(entry.mtime_ns, entry.mtime_ns))
    except OSError as error:
        raise InvalidArgument(f"cannot unpack the archive: {error.strerror}: {error.filename!s}") from error
    finally:
        directories.forget()
        archive.close()


Archive = tarsource.StreamSource
Late = list[tuple[bytes, tar.Entry]]


def put(archive: Archive, directories: Directories, entry: tar.Entry, rules: Rules, late: Late) -> None:
    path = clean(entry.name)
    parent, _, name = path.rpartition(b"/")
    if not name:
        return  # the target directory itself keeps its own attributes, as with Docker
    directory = directories.get(parent)
    make_room(directories, directory, name, entry, rules)
    match entry.type:
        case tar.DIRECTORY:
            put_directory(directories, path, directory, name, entry, rules)
            late.append((path, entry))
            return
        case tar.REGULAR:
            put_file(archive, directory, name, entry, rules)
            return
        case tar.SYMLINK:
            os.symlink(entry.link, name, dir_fd=directory.fd)
        case tar.HARDLINK:
            put_hardlink(directories, directory, name, entry)
            return
        case _:
            os.mknod(name, MODES[entry.type] | entry.mode, os.makedev(*entry.device), dir_fd=directory.fd)
    dress(directory, name, entry, rules)


def make_room(directories: Directories, directory: Directory, name: bytes, entry: tar.Entry, rules: Rules) -> None:
    """Take away what stands in the place, unless a directory meets a directory."""
    try:
        found = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    is_directory = (found.st_mode & 0o170000) == 0o040000
    if is_directory and entry.type == tar.DIRECTORY:
        return
    if rules.keep_kinds and is_directory != (entry.type == tar.DIRECTORY):
        kinds = ("directory", "non-directory") if is_directory else ("non-directory", "directory")
        shown = os.fsdecode(entry.name)
        raise InvalidArgument(f'cannot overwrite {kinds[0]} "{shown}" with {kinds[1]} "{shown}"')
    directories.forget()
    if is_directory:
        remove_tree(directory.fd, name)
    else:
        os.unlink(name, dir_fd=directory.fd)


def remove_tree(parent: int, name: bytes) -> None:
    """Remove a directory with its content, by handles."""
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for entry in os.listdir(fd):
            inner = os.fsencode(entry)
            if (os.stat(inner, dir_fd=fd, follow_symlinks=False).st_mode & 0o170000) == 0o040000:
                remove_tree(fd, inner)
            else:
                os.unlink(inner, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def put_directory(
    directories: Directories, path: bytes, parent: Directory, name: bytes, entry: tar.Entry, rules: Rules
) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent.fd)
    fd = directories.get(path).fd
    os.fchown(fd, *owner(entry, rules))
    os.fchmod(fd, entry.mode)


def put_file(archive: Archive, directory: Directory, name: bytes, entry: tar.Entry, rules: Rules) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=directory.fd)
    try:
        archive.copy_to(fd, entry.size)
        os.fchown(fd, *owner(entry, rules))
        os.fchmod(fd, entry.mode)
        for key, value in (entry.xattrs or {}).items():
            set_attribute(fd, key, value)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
    except (OSError, CortenError):
        os.unlink(name, dir_fd=directory.fd)
        raise
    finally:
        os.close(fd)


def set_attribute(fd: int, key: bytes, value: bytes) -> None:
    """A file's capability and user attributes; what the file system does not keep is left out, as with Docker."""
    if key == b"security.capability" or key.startswith(b"user."):
        try:
            os.setxattr(fd, key, value)
        except OSError:
            return


def put_hardlink(directories: Directories, directory: Directory, name: bytes, entry: tar.Entry) -> None:
    parent, _, target = clean(entry.link).rpartition(b"/")
    os.link(target, name, src_dir_fd=directories.get(parent).fd, dst_dir_fd=directory.fd, follow_symlinks=False)


def dress(directory: Directory, name: bytes, entry: tar.Entry, rules: Rules) -> None:
    os.chown(name, *owner(entry, rules), dir_fd=directory.fd, follow_symlinks=False)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory.fd, follow_symlinks=False)


def owner(entry: tar.Entry, rules: Rules) -> tuple[int, int]:
    return rules.owner or (entry.uid, entry.gid)
