"""The stores that images live in, together with the machine's platform: what every operation here is given."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from corten.content import Store
from corten.metadata import Database
from corten.model.platform import Platform
from corten.snapshots import Snapshotter

__all__ = ["KeyedLock", "Stores"]


class KeyedLock:
    """One lock for each key in use: the same layer is unpacked once, different ones side by side."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._held.pop(key)
                if users > 1:
                    self._held[key] = (lock, users - 1)


class Stores(NamedTuple):
    """`platform` is what this machine runs; `unpacking` serialises the work on one chain ID."""

    db: Database
    content: Store
    snapshots: Snapshotter
    platform: Platform
    unpacking: KeyedLock
