"""Handing a client's connection to whoever pumps it: attach and exec.

The engine checks first, so that errors are still ordinary answers; then it calls the `take` it was given, which
sends the upgrade and returns the socket and what the client had already sent. What goes wrong after that can only be
told in the stream itself.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Self

from corten.api.call import Call
from corten.api.versions import EVERY_ANSWER
from corten.model.errors import CortenError
from corten.wire.stdcopy import STDOUT, frame

__all__ = ["MULTIPLEXED", "RAW", "Take", "Taker"]

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
Take = Callable[..., tuple[int, bytes]]


class Taker:
    """The `take` of one call: ``with Taker(call) as take``.

    It duplicates what it hands out, so that an error raised in the block after the take is told there, and ends there.
    """

    def __init__(self, call: Call[Any, Any]) -> None:
        self._call = call
        self._spare = -1
        self._tty = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        if self._spare < 0:
            return False
        try:
            if isinstance(error, CortenError):
                self._tell(error)
        finally:
            os.close(self._spare)
        return isinstance(error, CortenError)

    def __call__(self, *, tty: bool) -> tuple[int, bytes]:
        """Upgrade the connection; the caller closes the returned descriptor."""
        hijacked = asyncio.run_coroutine_threadsafe(
            self._call.exchange.hijack(self._content_type(tty), EVERY_ANSWER), self._call.loop
        ).result()
        self._tty = tty
        self._spare = os.dup(hijacked.fd)
        return hijacked

    def _tell(self, error: CortenError) -> None:
        """Say `error` where the process's output would stand, as Docker does."""
        text = f"{error.message}\r\n".encode()
        os.set_blocking(self._spare, True)
        os.write(self._spare, text if self._tty else frame(STDOUT, text))

    def _content_type(self, tty: bool) -> str:
        """Clients choose to demultiplex by the media type since API 1.42; older ones must know from inspect."""
        request = self._call.exchange.request
        return MULTIPLEXED if not tty and self._call.version >= (1, 42) and request.wants_upgrade else RAW
