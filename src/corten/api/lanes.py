"""Bounded pools of threads, one per class of work, so that slow work cannot starve quick work.

The engine's core is blocking; the edge calls it from here. A lane's size is the number of such calls that may run
at once; more wait in the lane's own queue. Threads start when first needed, so an idle engine has few.
"""

from concurrent.futures import ThreadPoolExecutor
from enum import Enum

__all__ = ["Lane", "Lanes"]


class Lane(Enum):
    """Name and number of threads."""

    LOOP = ("loop", 0)  # the handler is a coroutine that never blocks
    QUICK = ("quick", 4)  # list, inspect: milliseconds
    CHANGE = ("change", 64)  # create, start, stop, remove: a stop may wait for its grace period
    IMAGE = ("image", 4)  # load, save, commit: minutes, and bound by the processor
    ARCHIVE = ("archive", 16)  # cp, export
    STREAM = ("stream", 256)  # one thread for each client that follows a log


class Lanes:
    """The running pools. `close` lets what runs end."""

    def __init__(self) -> None:
        self._pools: dict[Lane, ThreadPoolExecutor] = {}

    def pool(self, lane: Lane) -> ThreadPoolExecutor:
        if lane not in self._pools:
            name, size = lane.value
            self._pools[lane] = ThreadPoolExecutor(size, thread_name_prefix=f"corten-{name}")
        return self._pools[lane]

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
