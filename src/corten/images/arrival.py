"""A blob that is still arriving, read while it is written: a layer unpacks while it downloads.

The downloader writes to the content store and says how far it got; the reader follows it in the same file. What is read
here is not verified yet: whoever reads keeps the result only when the whole blob was good.
"""

import os
import threading

from corten.model.errors import Cancelled

__all__ = ["Arrival"]


class Arrival:
    """One reader follows one writer; `read` blocks until there is something, the end, or the writer's error."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._fd = -1
        self._there = 0
        self._whole = False
        self._error: BaseException | None = None
        self.offset = 0

    def begin(self, fd: int, there: int) -> None:
        """The writer's file, to be read through a descriptor of our own, with `there` bytes in it already."""
        with self._changed:
            if self._error:
                return
            self._fd = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
            self._there = there
            self._changed.notify()

    def advance(self, there: int) -> None:
        with self._changed:
            self._there = there
            self._changed.notify()

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing more comes: all of it is there and verified, or `error` says why not."""
        with self._changed:
            self._whole = error is None
            self._error = error
            self._changed.notify()

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; empty at the verified end. Raises the writer's error."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._whole or self._there > self.offset)
            if self._error:
                raise self._error
            left = self._there - self.offset
            data = os.pread(self._fd, left if size < 0 else min(left, size), self.offset) if left else b""
        self.offset += len(data)
        return data

    def close(self) -> None:
        """Stop reading; a reader that waits is woken with `Cancelled`."""
        with self._changed:
            self._error = self._error or Cancelled("read a layer: its unpacking was given up")
            self._changed.notify()
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
