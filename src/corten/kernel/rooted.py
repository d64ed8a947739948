"""Opens paths below a root that is not ours: openat2(2), where every link and `..` ends inside the root.

A root is a directory handle (an image's file system, a running container, a volume). A path in it may be raced by
whoever owns it, so a path is never resolved first and used later: the handle that `open` returns is what to work on
(CVE-2018-15664, CVE-2021-30465).
"""

import ctypes
import errno
import os
import posixpath
import time

__all__ = ["make_directories", "open", "open_parent"]

SYS_OPENAT2 = 437  # the same on every architecture
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10
# The kernel answers EAGAIN when a rename or mount raced the walk; somebody who does that on purpose gets this long.
PATIENCE = 1.0


class OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


libc = ctypes.CDLL(None, use_errno=True)


def open(root_fd: int, path: str, flags: int, mode: int = 0, *, follow: bool = True, cross: bool = True) -> int:
    """Open `path` below `root_fd` as if the root were `/`; returns a handle (close-on-exec).

    `follow=False` refuses any symbolic link on the way with ELOOP, `cross=False` any mount point with EXDEV. Raises the
    OSError of the kernel; EAGAIN, which means that somebody kept moving things, after one second.
    """
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (0 if follow else RESOLVE_NO_SYMLINKS)
    resolve |= 0 if cross else RESOLVE_NO_XDEV
    how = OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    deadline = time.monotonic() + PATIENCE
    while True:
        fd = libc.syscall(SYS_OPENAT2, root_fd, os.fsencode(path) or b".", ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return int(fd)
        error = ctypes.get_errno()
        if error != errno.EINTR and (error != errno.EAGAIN or time.monotonic() > deadline):
            raise OSError(error, os.strerror(error), path)


def open_parent(root_fd: int, path: str) -> tuple[int, str]:
    """A handle of the directory that holds `path`, and the last name; links on the way are followed, the last not."""
    directory, name = posixpath.split(posixpath.normpath("/" + path))
    return open(root_fd, directory, os.O_PATH | os.O_DIRECTORY), name


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """A handle of the directory `path`, made with its parents where missing."""
    try:
        return open(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        if path.strip("/") == "":
            raise
    parent, name = posixpath.split(path.rstrip("/"))
    parent_fd = make_directories(root_fd, parent, mode)
    try:
        os.mkdir(name, mode, dir_fd=parent_fd)
    except FileExistsError:
        pass  # somebody else was quicker, or it is a dangling link: the open below tells
    finally:
        os.close(parent_fd)
    return open(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
