"""Leases: roots with an end, held by work in progress.

A pull takes a lease, adds each blob to it *before* it writes the blob, and drops the lease once an image record
keeps them. A crash in between leaves a lease: a *resumable* one keeps what was fetched for another attempt until it
expires, any other ends when the engine starts again; garbage collection does the rest.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from corten.metadata import references
from corten.metadata.database import Database, Transaction
from corten.metadata.references import Node

__all__ = ["DAY_NS", "Lease", "expire", "hold"]

DAY_NS = 24 * 3600 * 10**9
_held: set[str] = set()  # by this process; any other lease was left by one that died


class Lease:
    """A lease that is held; made by `hold`."""

    def __init__(self, db: Database, id: str) -> None:
        self.id = id
        self._db = db

    @property
    def node(self) -> Node:
        return Node("lease", self.id)

    def keep(self, *nodes: Node) -> None:
        """Keep these until the lease ends. Call it before writing their bytes, or before relying on them."""
        # A power cut loses the lease together with the unfinished work it guards: no fsync.
        with self._db.write(durable=False) as tx:
            references.add(tx, self.node, nodes)


@contextmanager
def hold(
    db: Database, why: str, keep: Iterable[Node] = (), *, lifetime_ns: int = DAY_NS, resumable: bool = False
) -> Iterator[Lease]:
    """Hold a lease for the length of the block; `why` is for people who wonder what keeps a blob alive.

    A `resumable` one that ends well also ends those that killed processes left for the same reason.
    """
    lease = Lease(db, secrets.token_hex(8))
    _held.add(lease.id)
    with db.write(durable=False) as tx:
        tx.execute(
            "INSERT INTO leases (id, why, created_ns, expires_ns, resumable) VALUES (?, ?, ?, ?, ?)",
            (lease.id, why, tx.now(), tx.now() + lifetime_ns, int(resumable)),
        )
        references.add(tx, lease.node, keep)
    try:
        yield lease
        if resumable:
            _end_forsaken(db, why)
    finally:
        _held.discard(lease.id)
        with db.write(durable=False) as tx:
            _end(tx, lease.id)


def expire(tx: Transaction, *, interrupted: bool = False) -> int:
    """End the leases whose time is over; returns how many.

    `interrupted` is for an engine that starts, when nobody holds any: all that cannot be resumed end as well.
    """
    over = "expires_ns <= ? OR NOT resumable" if interrupted else "expires_ns <= ?"
    ids = [row[0] for row in tx.execute(f"SELECT id FROM leases WHERE {over}", (tx.now(),))]
    for id in ids:
        _end(tx, id)
    return len(ids)


def _end_forsaken(db: Database, why: str) -> None:
    with db.write(durable=False) as tx:
        same = tx.execute("SELECT id FROM leases WHERE why = ? AND resumable", (why,))
        for id in [row[0] for row in same if row[0] not in _held]:
            _end(tx, id)


def _end(tx: Transaction, id: str) -> None:
    references.drop_all(tx, Node("lease", id))
    tx.execute("DELETE FROM leases WHERE id = ?", (id,))
