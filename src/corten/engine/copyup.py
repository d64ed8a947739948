"""Fills a new volume with what the image has at the place it is mounted on.

Docker's rule: only an empty volume is filled, and the volume's directory takes over owner and mode of the image's.
Both trees are walked by handles: the image's is hostile (a `VOLUME /a/../../..`, a link to the host: CVE-2022-23648).
"""

import errno
import os
import stat
from contextlib import ExitStack, suppress

from corten.kernel import rooted

__all__ = ["fill"]

BLOCK = 1 << 20
# Each level holds two descriptors and two of Python's frames, and of both there are 1000 or so.
MOST_DEPTH = 200


def fill(root_fd: int, path: str, volume: str) -> None:
    """Copy the directory `path` of the root into the volume's directory; nothing happens when there is none."""
    try:
        source = rooted.open(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if not os.listdir(target):
                copy_directory(source, target, 0)
        finally:
            os.close(target)
    finally:
        os.close(source)


def copy_directory(source: int, target: int, depth: int) -> None:
    """The entries, then owner, mode and times of the directory itself (writing into it would change its time)."""
    if depth > MOST_DEPTH:
        raise OSError(f"copy-up: the image's directories are nested more than {MOST_DEPTH} deep")
    for name in os.listdir(source):
        copy_entry(source, target, name, depth)
    take_over(os.fstat(source), target)
    copy_attributes(source, target)


def copy_entry(source: int, target: int, name: str, depth: int) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(name, 0o700, dir_fd=target)
        with ExitStack() as held:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source)
            held.callback(os.close, inner)
            outer = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=target)
            held.callback(os.close, outer)
            copy_directory(inner, outer, depth + 1)
    elif stat.S_ISREG(found.st_mode):
        copy_file(source, target, name, found)
    elif stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    elif not stat.S_ISSOCK(found.st_mode):
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)


def copy_file(source: int, target: int, name: str, found: os.stat_result) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source)
    try:
        writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target)
        try:
            copy_bytes(reader, writer)
            take_over(found, writer)
            copy_attributes(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def copy_bytes(reader: int, writer: int) -> None:
    """Share blocks where the file systems can; most pairs of them cannot (EXDEV since 5.19)."""
    try:
        while os.copy_file_range(reader, writer, BLOCK):
            pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOTSUP):
            raise
        while os.sendfile(writer, reader, None, BLOCK):
            pass


def take_over(found: os.stat_result, fd: int) -> None:
    os.fchown(fd, found.st_uid, found.st_gid)
    os.fchmod(fd, stat.S_IMODE(found.st_mode))
    os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))


def copy_attributes(source: int, target: int) -> None:
    """Extended attributes, as far as the volume's file system takes them; overlay's own are no content."""
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            with suppress(OSError):
                os.setxattr(target, name, os.getxattr(source, name))
