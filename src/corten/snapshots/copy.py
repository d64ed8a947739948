"""Copying a tree with everything that a filesystem keeps: owners, modes, times, links, devices, extended attributes.

Blocks are shared where the filesystem can (FICLONE on btrfs and xfs), else copied inside the kernel.
"""

import errno
import fcntl
import os
import stat
from pathlib import Path

__all__ = ["copy_tree"]

FICLONE = 0x40049409
NO_CLONE = frozenset((errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS))


def copy_tree(source: Path, target: Path) -> None:
    """Copy what is below `source` into the directory `target`, and the attributes of `source` itself.

    Both trees are ours alone while this runs (a committed snapshot and one that nobody knows yet).
    """
    linked: dict[int, str] = {}
    directories: list[tuple[str, str]] = [(os.fspath(source), os.fspath(target))]
    for here, there in directories:  # grows while it is walked
        with os.scandir(here) as found:
            for entry in found:
                copied = f"{there}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(copied, 0o700)
                    directories.append((entry.path, copied))
                else:
                    _copy_file(entry, copied, linked)
    for here, there in reversed(directories):
        _copy_attributes(here, there, os.stat(here))


def _copy_file(entry: os.DirEntry[str], copied: str, linked: dict[int, str]) -> None:
    about = entry.stat(follow_symlinks=False)
    if about.st_nlink > 1:
        if about.st_ino in linked:
            os.link(linked[about.st_ino], copied, follow_symlinks=False)
            return
        linked[about.st_ino] = copied
    if stat.S_ISREG(about.st_mode):
        _copy_content(entry.path, copied, about.st_size)
    elif stat.S_ISLNK(about.st_mode):
        os.symlink(os.readlink(entry.path), copied)
    else:
        os.mknod(copied, about.st_mode, about.st_rdev)
    _copy_attributes(entry.path, copied, about)


def _copy_content(source: str, target: str, size: int) -> None:
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if size and not _clone(reading, writing):
            while os.sendfile(writing, reading, None, 1 << 30):
                pass
    finally:
        os.close(reading)
        os.close(writing)


def _clone(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, FICLONE, reading)
    except OSError as error:
        if error.errno not in NO_CLONE:
            raise
        return False
    return True


def _copy_attributes(source: str, target: str, about: os.stat_result) -> None:
    os.chown(target, about.st_uid, about.st_gid, follow_symlinks=False)
    for name in os.listxattr(source, follow_symlinks=False):
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    if not stat.S_ISLNK(about.st_mode):
        os.chmod(target, about.st_mode & 0o7777)
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns), follow_symlinks=False)
