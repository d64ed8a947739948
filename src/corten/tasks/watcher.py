"""One thread that waits for all monitors, and calls back."""

import os
import queue
import select
import threading
import traceback
from collections.abc import Callable

__all__ = ["Watcher"]


class Watcher:
    """Calls `callback` in its thread whenever the descriptor is readable, and whatever is handed to `call`, in order.

    Callbacks must not block for long: they delay the news of every other container. One that raises is reported on
    stderr and does not stop the thread.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._watched: dict[int, Callable[[], object]] = {}
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="corten-tasks", daemon=True)
        self._thread.start()

    def add(self, fd: int, callback: Callable[[], object]) -> None:
        self._watched[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Forget a descriptor, before it is closed."""
        if self._watched.pop(fd, None):
            self._epoll.unregister(fd)

    def call(self, function: Callable[[], object]) -> None:
        """Have `function` called in the thread, soon."""
        self._calls.put(function)
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """End the thread after what was handed to `call` until now."""
        self.call(self._stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _stop(self) -> None:
        self._closed = True

    def _run(self) -> None:
        while not self._closed:
            for fd, _ in self._epoll.poll():
                if fd != self._wake:
                    self._guarded(self._watched.get(fd))
            self._run_calls()
        self._epoll.close()
        os.close(self._wake)

    def _run_calls(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        while not self._calls.empty():
            self._guarded(self._calls.get())

    def _guarded(self, callback: Callable[[], object] | None) -> None:
        try:
            if callback:
                callback()
        except Exception:
            traceback.print_exc()
