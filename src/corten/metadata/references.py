"""References: who keeps whom. An edge is written before the bytes it keeps, and dropped after its owner.

A node is a kind and an id: ``("image", "sha256:…")``, ``("blob", "sha256:…")``, ``("snapshot", "overlay/sha256:…")``,
``("container", "4f…")``, ``("lease", "…")``. A node needs no record of its own to be the source or target of an edge.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from corten.metadata.database import Transaction

__all__ = ["Node", "add", "drop", "drop_all", "of", "to"]


class Node(NamedTuple):
    """One object of the graph."""

    kind: str
    id: str


def add(tx: Transaction, source: Node, targets: Iterable[Node]) -> None:
    """`source` keeps each of `targets` from now on; saying it twice is no error."""
    tx.executemany("INSERT OR IGNORE INTO refs VALUES (?, ?, ?, ?)", [(*source, *target) for target in targets])


def drop(tx: Transaction, source: Node, target: Node) -> None:
    """`source` no longer keeps `target`."""
    tx.execute("DELETE FROM refs WHERE (src_kind, src_id, dst_kind, dst_id) = (?, ?, ?, ?)", (*source, *target))


def drop_all(tx: Transaction, source: Node) -> None:
    """`source` is gone: it keeps nothing any more."""
    tx.execute("DELETE FROM refs WHERE src_kind = ? AND src_id = ?", source)


def of(rows: sqlite3.Connection | Transaction, source: Node) -> list[Node]:
    """What `source` keeps."""
    found = rows.execute("SELECT dst_kind, dst_id FROM refs WHERE src_kind = ? AND src_id = ?", source)
    return [Node(kind, id) for kind, id in found]


def to(rows: sqlite3.Connection | Transaction, target: Node) -> list[Node]:
    """Who keeps `target`."""
    found = rows.execute("SELECT src_kind, src_id FROM refs WHERE dst_kind = ? AND dst_id = ?", target)
    return [Node(kind, id) for kind, id in found]
