"""The books of a snapshotter: one directory for each snapshot, with a record in it.

    ROOT/<number>/record     JSON: key, kind, parent; replaced by rename, so it is always whole
    ROOT/<number>/fs         the content
    ROOT/new-<number>/…      being made: without its name it does not count, and goes at the next start
    ROOT/gone-<number>/…     being removed

Numbers are short on purpose: an overlay's lower directories must fit into one page of mount options.

Durability: nothing here waits for the disk. A committed snapshot can be made again from its layers, so it is enough to
*notice* a power cut: a record carries the boot in which it was written until `synced`; from another boot, without
that mark, it is dropped when the root is opened.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from corten.kernel import tree
from corten.model.errors import AlreadyExists, FailedPrecondition, NotFound
from corten.snapshots.protocol import Info, Kind

__all__ = ["Record", "Records"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Record(msgspec.Struct, frozen=True):
    """One snapshot as it stands on the disk. `boot` is empty once the content has been synced."""

    number: int
    key: str
    kind: Kind
    parent: str | None
    created_ns: int
    boot: str = ""
    volatile: bool = False

    @property
    def info(self) -> Info:
        return Info(self.key, self.kind, self.parent, self.created_ns)


class Records:
    """Thread-safe; the whole index is in memory, the directories are the truth."""

    def __init__(self, root: Path, *, boot: str | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self.root = root
        self._boot = boot or BOOT_ID.read_text().strip()
        self._clock = clock
        self._lock = threading.RLock()
        self._by_key: dict[str, Record] = {}
        self._children: dict[str, int] = {}
        self._next = 1
        self.lost = 0
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load()

    def _load(self) -> None:
        for name in os.listdir(self.root):
            if not name.isdecimal():
                tree.remove(self.root / name)
                continue
            self._next = max(self._next, int(name) + 1)
            record = self._read(name)
            if record is None or (record.kind is Kind.COMMITTED and record.boot not in ("", self._boot)):
                tree.remove(self.root / name)  # a power cut may have taken part of it
                self.lost += 1
            else:
                self._add(record)

    def _read(self, name: str) -> Record | None:
        try:
            return msgspec.json.decode((self.root / name / "record").read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None

    def _add(self, record: Record) -> None:
        self._by_key[record.key] = record
        if record.parent is not None:
            self._children[record.parent] = self._children.get(record.parent, 0) + 1

    def directory(self, record: Record) -> Path:
        return self.root / str(record.number)

    def get(self, key: str) -> Record:
        """Raises NotFound."""
        record = self._by_key.get(key)
        if record is None:
            raise NotFound(f"snapshot {key}: not found")
        return record

    def find(self, key: str) -> Record | None:
        return self._by_key.get(key)

    def chain(self, key: str | None) -> list[Record]:
        """The snapshot and its ancestors, the nearest first."""
        found = []
        with self._lock:
            while key is not None:
                record = self.get(key)
                found.append(record)
                key = record.parent
        return found

    def create(
        self, key: str, kind: Kind, parent: str | None, fill: Callable[[Path], None], *, volatile: bool = False
    ) -> Record:
        """A new snapshot; `fill` makes its content in the directory that it is given, before anybody can see it."""
        with self._lock:
            self._check_new(key, parent)
            number, self._next = self._next, self._next + 1
        # A Digest is a str to everybody but msgspec, hence the plain text.
        below = str(parent) if parent is not None else None
        record = Record(number, str(key), kind, below, self._clock(), volatile=volatile)
        making = self.root / f"new-{number}"
        try:
            making.mkdir(mode=0o700)
            fill(making)
            self._write(making, record)
            with self._lock:
                self._check_new(key, parent)
                making.rename(self.directory(record))
                self._add(record)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        return record

    def _check_new(self, key: str, parent: str | None) -> None:
        if key in self._by_key:
            raise AlreadyExists(f"snapshot {key}: it exists already")
        if parent is not None and self.get(parent).kind is not Kind.COMMITTED:
            raise FailedPrecondition(f"snapshot {key}: its parent {parent} is not committed")

    def commit(self, name: str, key: str) -> Record:
        """The active snapshot `key` becomes the committed snapshot `name`, in one rename."""
        with self._lock:
            record = self.get(key)
            if record.kind is not Kind.ACTIVE:
                raise FailedPrecondition(f"commit snapshot {key}: it is {record.kind.value}, not active")
            if name in self._by_key:
                raise AlreadyExists(f"commit snapshot {key}: {name} exists already")
            committed = msgspec.structs.replace(record, key=str(name), kind=Kind.COMMITTED, boot=self._boot)
            self._write(self.directory(record), committed)
            del self._by_key[key]
            self._by_key[name] = committed
            return committed

    def remove(self, key: str) -> int:
        """Remove it; returns the bytes freed. Only the rename is under the lock."""
        with self._lock:
            record = self.get(key)
            if self._children.get(key):
                raise FailedPrecondition(f"remove snapshot {key}: {self._children[key]} others stand on it")
            going = self.root / f"gone-{record.number}"
            self.directory(record).rename(going)
            del self._by_key[key]
            if record.parent is not None:
                self._children[record.parent] -= 1
        return tree.remove(going)

    def has_children(self, key: str) -> bool:
        return bool(self._children.get(key))

    def walk(self) -> list[Record]:
        """All records, children before parents."""
        with self._lock:
            return sorted(self._by_key.values(), key=lambda record: (-self._depth(record), record.key))

    def _depth(self, record: Record) -> int:
        depth = 0
        above: Record | None = record
        while above is not None and above.parent is not None:  # a parent may have been lost in a power cut
            above = self._by_key.get(above.parent)
            depth += 1
        return depth

    def synced(self, records: list[Record]) -> None:
        """These are on the disk now: a later boot may trust them."""
        for record in records:
            with self._lock:
                if self._by_key.get(record.key) == record:
                    self._by_key[record.key] = safe = msgspec.structs.replace(record, boot="")
                    self._write(self.directory(record), safe)

    def unsynced(self) -> list[Record]:
        with self._lock:
            return [record for record in self._by_key.values() if record.kind is Kind.COMMITTED and record.boot]

    def _write(self, directory: Path, record: Record) -> None:
        partial = directory / "record.new"
        partial.write_bytes(msgspec.json.encode(record))
        partial.rename(directory / "record")
