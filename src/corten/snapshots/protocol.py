"""The contract of every snapshotter; the package's docstring tells the story."""

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from corten.model.mount import Mount
from corten.model.whiteout import Form

__all__ = ["Changes", "Info", "Kind", "Snapshotter", "Usage"]


class Kind(enum.Enum):
    """What may be done with a snapshot: a committed one is a parent, an active one is written, a view is read."""

    COMMITTED = "committed"
    ACTIVE = "active"
    VIEW = "view"


class Info(msgspec.Struct, frozen=True):
    """What is known of a snapshot without looking into it."""

    key: str
    kind: Kind
    parent: str | None
    created_ns: int


class Usage(msgspec.Struct, frozen=True):
    """What a snapshot adds to its parent: bytes in files (each hard-linked file once), and files of any kind."""

    size: int
    inodes: int


class Changes(msgspec.Struct, frozen=True):
    """Where a snapshot's own content lies: `path` holds it, `form` says how deletions are written there.

    In overlay form `path` holds only what differs, and `lowers` are the directories below it, the nearest first. In
    plain form `path` is the whole state, and `lowers` is the parent's whole state (or nothing).
    """

    path: Path
    form: Form
    lowers: list[Path]


class Snapshotter(Protocol):
    """Errors: NotFound for an unknown key, AlreadyExists for a taken one, FailedPrecondition for the wrong kind."""

    name: str
    root: Path

    @property
    def lost(self) -> int:
        """How many committed snapshots a power cut before `sync` cost: they were dropped when the root was opened."""

    def node(self, key: str) -> str:
        """How references name a snapshot (``metadata.references``): with the snapshotter's name before the key."""

    def prepare(self, key: str, parent: str | None = None, *, volatile: bool = False) -> list[Mount]:
        """Begin an active snapshot on a committed parent, or on nothing.

        `volatile` is for what will not outlive this boot: the kernel then need not write it back when it is unmounted.
        """

    def view(self, key: str, parent: str | None = None) -> list[Mount]:
        """Begin a read-only look at a committed snapshot."""

    def mounts(self, key: str) -> list[Mount]:
        """The mounts of an active snapshot or a view, again: after a restart, or for the next start of a container."""

    def changes(self, key: str) -> Changes:
        """Where the snapshot's own content lies, to be filled (active) or compared (any kind)."""

    def commit(self, name: str, key: str) -> None:
        """Freeze an active snapshot under a name. AlreadyExists leaves the active one for the caller to remove."""

    def remove(self, key: str) -> int:
        """Remove a snapshot; returns the bytes freed. FailedPrecondition when others stand on it."""

    def stat(self, key: str) -> Info:
        """What is known of it."""

    def find(self, key: str) -> Info | None:
        """As `stat`, but None for what is not there."""

    def usage(self, key: str) -> Usage:
        """What it adds to its parent; counted anew for an active one."""

    def has_children(self, key: str) -> bool:
        """Whether other snapshots stand on it."""

    def walk(self) -> Iterator[Info]:
        """Every snapshot; those that stand on others come before them."""

    def sync(self) -> None:
        """Write what was committed to the disk: before this, a power cut may take it (and is noticed)."""
