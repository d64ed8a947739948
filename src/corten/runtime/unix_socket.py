"""A connection to a caller's Unix socket by its path, however long the path is."""

from __future__ import annotations

import _socket
import os

from corten.model.errors import NotFound

__all__ = ["connect"]


def connect(path: str, whose: str) -> _socket.socket:
    """A stream connection, reached by its directory's descriptor: a name may have more than 108 bytes.

    Raises NotFound, which names `whose` socket it is."""
    directory = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    except OSError as error:
        sock.close()
        message = f"cannot connect to {whose} at {path}: {str(error.strerror).lower()}"
        raise NotFound(message, hint="it must listen before the container is created") from error
    finally:
        os.close(directory)
    return sock
