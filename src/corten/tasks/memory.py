"""Bytes to hand over by descriptor: what is longer than a message, or must not be copied into each monitor."""

import fcntl
import os

__all__ = ["memory_file"]

_F_ADD_SEALS = 1033
_SEALS = 0xF  # seal, shrink, grow, write


def memory_file(name: str, data: bytes) -> int:
    """A sealed memfd that holds `data`; the caller closes it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd
