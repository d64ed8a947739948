"""Committed snapshots as a collector (`metadata.garbage`): they live as long as an image or something on them does."""

from collections.abc import Iterator

from corten.snapshots.protocol import Kind, Snapshotter

__all__ = ["SnapshotCollector"]


class SnapshotCollector:
    """`actives=True` takes active ones and views as well: only when the engine starts, and nobody is making one."""

    kind = "snapshot"

    def __init__(self, snapshots: Snapshotter, *, actives: bool = False) -> None:
        self._snapshots = snapshots
        self._kinds = frozenset(Kind) if actives else frozenset((Kind.COMMITTED,))

    def walk(self) -> Iterator[str]:
        return (self._snapshots.node(info.key) for info in self._snapshots.walk() if info.kind in self._kinds)

    def discard(self, id: str) -> int | None:
        """What something alive stands on stays (a container outlives its image when that was forced away)."""
        key = id.partition("/")[2]
        if self._snapshots.has_children(key):
            return None
        return self._snapshots.remove(key)

    def purge(self) -> None:
        """Nothing is left over: removing is a rename first, and the next start sweeps up what a crash left."""
