"""Garbage collection: mark from the roots over the references, sweep what was not reached.

Mark and sweep run inside one write transaction. Whoever wants to use an object first writes a reference to it and
then looks whether it is there; so either the reference came before the mark, or the object is already gone when
they look. Nothing is deleted under a user. To keep that transaction short, a collector only moves the dead aside
(`discard`), and frees the space afterwards (`purge`).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from corten.metadata import leases
from corten.metadata.database import Database, Transaction
from corten.metadata.references import Node

__all__ = ["ROOTS", "Collected", "Collector", "collect", "live"]

# The kinds that live because somebody made them and nobody removed them.
ROOTS = ("lease", "image", "container", "build-cache")


class Collector(Protocol):
    """A store whose objects live only as long as something refers to them."""

    kind: str

    def walk(self) -> Iterable[str]:
        """The ids of all objects that could be collected."""

    def discard(self, id: str) -> int | None:
        """Make the object unusable at once (a rename); returns the bytes that this frees, None when it has to stay."""

    def purge(self) -> None:
        """Free what was discarded, also what a crash left behind."""


class Collected(NamedTuple):
    """What a collection removed, and how many bytes that freed."""

    nodes: list[Node]
    size: int


def collect(db: Database, collectors: Sequence[Collector], *, roots: Sequence[str] = ROOTS) -> Collected:
    """Remove every object that no root reaches."""
    nodes: list[Node] = []
    size = 0
    with db.write(durable=False) as tx:
        leases.expire(tx)
        alive = live(tx, roots)
        for collector in collectors:
            for id in [id for id in collector.walk() if (collector.kind, id) not in alive]:
                freed = collector.discard(id)
                if freed is not None:
                    size += freed
                    nodes.append(Node(collector.kind, id))
        tx.executemany("DELETE FROM refs WHERE src_kind = ? AND src_id = ?", nodes)
    for collector in collectors:
        collector.purge()
    return Collected(nodes, size)


def live(tx: Transaction, roots: Sequence[str]) -> set[tuple[str, str]]:
    """Every node that can be reached from a node of the kinds `roots`."""
    marks = ", ".join("?" * len(roots))
    found = tx.execute(
        f"""WITH RECURSIVE live (kind, id) AS (
              SELECT dst_kind, dst_id FROM refs WHERE src_kind IN ({marks})
              UNION SELECT dst_kind, dst_id FROM refs JOIN live ON (src_kind, src_id) = (live.kind, live.id)
            ) SELECT kind, id FROM live""",
        tuple(roots),
    )
    return {(kind, id) for kind, id in found}
