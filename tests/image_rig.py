"""An image store in a scratch directory, for tests."""

import io
from pathlib import Path

from corten.content import Store
from corten.images import Images, Loaded
from corten.metadata import Database
from corten.snapshots import Overlay

__all__ = ["Rig"]


class Rig:
    """The stores of an engine, in a scratch directory; opening it twice is a restart."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.db = Database(root / "meta.db")
        self.content = Store(root / "content")
        self.snapshots = Overlay(root / "snapshots")
        self.images = Images(self.db, self.content, self.snapshots)

    def close(self) -> None:
        self.images.close()
        self.db.close()

    def load(self, archive: bytes) -> list[Loaded]:
        return [event for event in self.images.load(io.BytesIO(archive)) if isinstance(event, Loaded)]

    def save(self, *names: str) -> bytes:
        return b"".join(self.images.save(names))

    def everything(self) -> tuple[list[str], list[str], int]:
        with self.db.read() as rows:
            leases = rows.execute("SELECT count(*) FROM leases").fetchone()[0]
        blobs = sorted(self.content.walk())
        return blobs, sorted(info.key for info in self.snapshots.walk()), leases
