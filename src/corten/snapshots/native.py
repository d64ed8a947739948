"""Snapshots as whole copies: works on every filesystem, and shares blocks where it can (reflinks)."""

from pathlib import Path

from corten.model.errors import FailedPrecondition
from corten.model.mount import Mount
from corten.model.whiteout import Form
from corten.snapshots import measure
from corten.snapshots.copy import copy_tree
from corten.snapshots.protocol import Changes, Kind, Usage
from corten.snapshots.recorded import Recorded
from corten.snapshots.records import Record

__all__ = ["Native"]


class Native(Recorded):
    """Each active snapshot is a copy of its parent; mounting one is a bind mount."""

    name = "native"

    def prepare(self, key: str, parent: str | None = None, *, volatile: bool = False) -> list[Mount]:
        below = self._content(self._records.get(parent)) if parent is not None else None

        def fill(directory: Path) -> None:
            (directory / "fs").mkdir(mode=0o755)
            if below is not None:
                copy_tree(below, directory / "fs")

        return self._mounts(self._records.create(key, Kind.ACTIVE, parent, fill, volatile=volatile))

    def view(self, key: str, parent: str | None = None) -> list[Mount]:
        record = self._records.create(key, Kind.VIEW, parent, lambda directory: (directory / "fs").mkdir(mode=0o755))
        return self._mounts(record)

    def mounts(self, key: str) -> list[Mount]:
        record = self._records.get(key)
        if record.kind is Kind.COMMITTED:
            raise FailedPrecondition(f"mount snapshot {key}: it is committed", hint="prepare or view one on top of it")
        return self._mounts(record)

    def _mounts(self, record: Record) -> list[Mount]:
        if record.kind is Kind.VIEW:
            shown = self._records.get(record.parent) if record.parent is not None else record
            return [Mount("bind", str(self._content(shown)), ("rbind", "ro"))]
        return [Mount("bind", str(self._content(record)), ("rbind", "rw"))]

    def changes(self, key: str) -> Changes:
        record = self._records.get(key)
        below = [self._content(lower) for lower in self._records.chain(record.parent)[:1]]
        own = below[0] if record.kind is Kind.VIEW and below else self._content(record)
        return Changes(own, Form.PLAIN, below)

    def commit(self, name: str, key: str) -> None:
        self._records.commit(name, key)

    def remove(self, key: str) -> int:
        return self._records.remove(key)

    def usage(self, key: str) -> Usage:
        """A copy shares nothing that could be told apart cheaply: what it adds is what it is larger by."""
        record = self._records.get(key)
        if record.kind is Kind.VIEW:
            return Usage(0, 0)
        own = measure.usage(self._content(record))
        if record.parent is None:
            return own
        below = measure.usage(self._content(self._records.get(record.parent)))
        return Usage(max(own.size - below.size, 0), max(own.inodes - below.inodes, 0))
