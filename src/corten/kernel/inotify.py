"""inotify(7): a handle that becomes readable when something in a directory changes."""

import ctypes
import os

from corten.kernel.rooted import libc

__all__ = ["watch"]

IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x002, 0x080, 0x100


def watch(directory: str) -> int:
    """A non-blocking inotify handle of a directory's changes: writes, new names. Its records need only be drained."""
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(directory), IN_MODIFY | IN_MOVED_TO | IN_CREATE) >= 0:
        return int(fd)
    error = ctypes.get_errno()
    if fd >= 0:
        os.close(fd)
    raise OSError(error, os.strerror(error), directory)
