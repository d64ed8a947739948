"""The engine's memory: one SQLite file in WAL mode, written by one process, one transaction at a time.

- `Database` opens and migrates it. ``with db.write() as tx`` is the only way to change anything: it commits as a
  whole or not at all, and takes the events that tell others with it (the *outbox*), so nobody hears of what
  did not happen and nothing happens unheard. ``with db.read() as rows`` sees one consistent state and never waits.
- `schema` draws every table; each part of the engine appends its own there, as a numbered migration.
- `references`: the edges of the object graph (an image keeps its blobs, a container keeps its snapshot).
- `leases`: roots with an end, held by work in progress: take the lease, write the reference, then the bytes.
- `collect`: mark from the roots over the references, sweep the rest with collectors that the daemon passes in.

>>> with db.write() as tx:
...     tx.execute("INSERT INTO volumes (name) VALUES (?)", ("data",))
...     tx.emit(Event("volume", "create", "data"))
"""

from corten.metadata.database import Database, Transaction
from corten.metadata.garbage import Collected, Collector, collect
from corten.metadata.leases import Lease
from corten.metadata.references import Node

__all__ = ["Collected", "Collector", "Database", "Lease", "Node", "Transaction", "collect"]
