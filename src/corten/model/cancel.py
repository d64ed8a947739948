"""A wish to stop, handed down from an edge to whatever works for it.

The edge calls `set` when its client goes away or a deadline passes; the worker asks `is_set` or calls `check`
between steps, and what blocks in a system call registers `on_set` to be woken.

>>> cancel = Cancel()
>>> cancel.on_set(lambda: print("woken"))
>>> cancel.set()
woken
>>> cancel.is_set()
True
"""

import threading
from collections.abc import Callable

from corten.model.errors import Cancelled

__all__ = ["Cancel"]


class Cancel:
    """One wish, set at most once, safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._callbacks: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """Wish the work to stop; callbacks run in the caller's thread, once, in the order of registration."""
        with self._lock:
            callbacks, self._callbacks, self._set = self._callbacks, [], True
        for callback in callbacks:
            callback()

    def on_set(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the wish is set; at once when it already is."""
        with self._lock:
            if not self._set:
                self._callbacks.append(callback)
                return
        callback()

    def check(self) -> None:
        """Raise `Cancelled` when the wish is set."""
        if self._set:
            raise Cancelled("cancelled by the caller")
