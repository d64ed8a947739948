"""What pull and push tell while they work, and how they tell it from many threads in one order.

A transfer runs in a thread of its own; its progress comes out of an iterator. Who stops iterating cancels the transfer.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from corten.model.cancel import Cancel
from corten.model.digest import Digest

__all__ = ["Done", "Meter", "Notice", "Step", "Tell", "Told", "follow", "short"]

TELL_EVERY = 0.1
SHORT = 12


class Notice(NamedTuple):
    """A line about the whole, or (with `id`) about one part of it."""

    text: str
    id: str = ""


class Step(NamedTuple):
    """One layer, by the start of its digest: what happens to it, and how far that is, in bytes of `total`."""

    id: str
    status: str
    current: int = 0
    total: int = 0


class Done(NamedTuple):
    """The end of a push: what the tag names at the registry now."""

    tag: str
    digest: Digest
    size: int


Told = Notice | Step | Done
Tell = Callable[[Told], None]


def short(digest: Digest) -> str:
    return digest.encoded[:SHORT]


def follow(work: Callable[[Tell, Cancel], None], cancel: Cancel) -> Iterator[Told]:
    """Run `work` in a thread and yield what it tells; its error is raised here, after all it told before."""
    told: queue.SimpleQueue[Told | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work(told.put, cancel)
        except BaseException as error:
            told.put(error)
        else:
            told.put(None)

    thread = threading.Thread(target=run, name="transfer", daemon=True)
    thread.start()
    try:
        while (one := told.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        if thread.is_alive():
            cancel.set()
        thread.join()


class Meter:
    """Tells a step's progress, but not more often than a person can read it."""

    def __init__(self, tell: Tell, id: str, status: str, total: int) -> None:
        self._tell = tell
        self._id = id
        self._status = status
        self._total = total
        self._last = 0.0

    def at(self, current: int) -> None:
        now = time.monotonic()
        if now - self._last >= TELL_EVERY:
            self._last = now
            self._tell(Step(self._id, self._status, current, self._total))
