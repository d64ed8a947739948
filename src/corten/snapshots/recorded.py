"""What every snapshotter answers alike, from its records alone: what there is, below what, what reached the disk."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from corten.snapshots.protocol import Info
from corten.snapshots.records import Record, Records

__all__ = ["Recorded"]

libc = ctypes.CDLL(None, use_errno=True)


class Recorded:
    """The part of a `Snapshotter` that does not depend on how content is stored; `name` is the kind's own."""

    name = ""

    def __init__(self, root: Path, *, boot: str | None = None) -> None:
        self.root = root
        self._records = Records(root, boot=boot)

    @property
    def lost(self) -> int:
        return self._records.lost

    def node(self, key: str) -> str:
        return f"{self.name}/{key}"

    def stat(self, key: str) -> Info:
        return self._records.get(key).info

    def find(self, key: str) -> Info | None:
        record = self._records.find(key)
        return record.info if record else None

    def has_children(self, key: str) -> bool:
        return self._records.has_children(key)

    def walk(self) -> Iterator[Info]:
        return (record.info for record in self._records.walk())

    def sync(self) -> None:
        """One syncfs(2) for all that was committed since the last."""
        waiting = self._records.unsynced()
        if not waiting:
            return
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if libc.syncfs(fd) != 0:
                raise OSError(ctypes.get_errno(), "syncfs", str(self.root))
        finally:
            os.close(fd)
        self._records.synced(waiting)

    def _content(self, record: Record) -> Path:
        return self._records.directory(record) / "fs"
