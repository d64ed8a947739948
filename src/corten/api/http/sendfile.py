"""From a file to a client's socket inside the kernel; run by a thread, so that the loop waits for neither."""

import os
import select
from typing import NamedTuple

__all__ = ["FilePart", "send"]

AT_ONCE = 0x7FFF0000  # what Linux moves in one call at most
PATIENCE = 60_000  # milliseconds without progress


class FilePart(NamedTuple):
    """`length` bytes of an open file from `offset` on."""

    fd: int
    offset: int
    length: int


def send(sock: int, part: FilePart) -> None:
    """Send all of `part` and close both descriptors. OSError when the client goes, stalls, or the file is shorter."""
    try:
        writable = select.poll()
        writable.register(sock, select.POLLOUT)
        offset, end = part.offset, part.offset + part.length
        while offset < end:
            try:
                sent = os.sendfile(sock, part.fd, offset, min(end - offset, AT_ONCE))
            except BlockingIOError:
                if not writable.poll(PATIENCE):
                    raise TimeoutError("the client takes no more bytes") from None
                continue
            if not sent:
                raise OSError("the file ended early")
            offset += sent
    finally:
        os.close(sock)
        os.close(part.fd)
