"""A response of ``http.client`` that does not wait for ever: a deadline over several reads, where one is set.

The time-out of a socket is for each read of it; a server that sends a byte every twenty seconds never meets it. The
head of a response has such a deadline from the start, and its reader sets one for a short body.
"""

import http.client
import io
import socket
import time
from typing import Any

__all__ = ["TimedResponse"]

HEAD = 60.0


class Patience(io.RawIOBase):
    """The raw stream of a socket; a read after `until` (monotonic; 0 is never) is a `TimeoutError`."""

    def __init__(self, raw: io.RawIOBase, until: float) -> None:
        self._raw = raw
        self.until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.until and time.monotonic() > self.until:
            raise TimeoutError("it sends too slowly")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class TimedResponse(http.client.HTTPResponse):
    """See the module."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._patience = Patience(self.fp.detach(), time.monotonic() + HEAD)
        self.fp = io.BufferedReader(self._patience)

    def begin(self) -> None:
        super().begin()
        self._patience.until = 0.0

    def finish_within(self, seconds: float) -> None:
        """From now on the rest of the body must come in this time."""
        self._patience.until = time.monotonic() + seconds
